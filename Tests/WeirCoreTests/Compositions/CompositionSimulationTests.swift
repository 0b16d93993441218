import Foundation
import Testing
import WeirCore
import WeirTesting

/// Random topologies, each compared with a plain computation and with itself under crashes.
@Suite struct `Compositions under crashes` {
    /// `WEIR_COMPOSITIONS=1000-5000` runs others than the few of each run of the tests.
    private static let seeds: Range<UInt64> = {
        let given = ProcessInfo.processInfo.environment["WEIR_COMPOSITIONS"] ?? ""
        let bounds = given.split(separator: "-").compactMap { UInt64($0) }
        guard bounds.count == 2, bounds[0] < bounds[1] else { return 0..<12 }
        return bounds[0]..<bounds[1]
    }()

    @Test(arguments: [1, 3]) func `give what they are to give`(_ parallelism: Int) {
        for seed in Self.seeds {
            do throws(CompositionFailure) {
                let composition = Composition(seed: seed, parallelism: parallelism)
                try composition.run(2 * seed..<2 * seed + 2)
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    @Test func `give it also with another parallelism in each life`() {
        for seed in Self.seeds {
            do throws(CompositionFailure) {
                let composition = Composition(seed: seed, parallelism: 3, isRescaled: true)
                try composition.run(2 * seed..<2 * seed + 2)
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    @Test(arguments: [false, true]) func `give it when they are held, suspended and drained`(
        _ isRescaled: Bool
    ) {
        for seed in Self.seeds {
            do throws(CompositionFailure) {
                let composition = Composition(
                    seed: seed, parallelism: isRescaled ? 3 : 1, isRescaled: isRescaled)
                for run in 2 * seed..<2 * seed + 2 {
                    try CompositionLives(composition, seed: run).run()
                }
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    @Test func `are made of all operators`() {
        var recipes: Set<Int> = []
        for seed in UInt64(0)..<600 {
            recipes.formUnion(Composition(seed: seed, parallelism: 3).steps.map(\.recipe))
        }
        #expect(recipes.count == Recipe.all.count)
    }
}
