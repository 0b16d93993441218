import Glibc

/// A seeded generator of random numbers (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// 2014) with the distributions that traffic needs.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from the exponential distribution with this mean.
    mutating func exponential(mean: Double) -> Double {
        -mean * log(1 - Double.random(in: 0..<1, using: &self))
    }

    /// A number from the standard normal distribution, cut off at ±3.
    mutating func normal() -> Double {
        while true {
            let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &self))).squareRoot()
            let value = radius * cos(2 * .pi * Double.random(in: 0..<1, using: &self))
            if abs(value) <= 3 { return value }
        }
    }

    mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &self) < probability
    }
}
