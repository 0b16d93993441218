import CSQLitePeer
import Weir

/// R5: 100-byte records made durable, against SQLite in WAL mode with synchronous=FULL.
struct DurableIngest {
    let runs: Int
    let scale: Double
    let work: WorkDirectory

    func rows() async throws -> [RecoveryRow] {
        let events = max(2_048, Int(500_000 * scale))
        var weir: [Double] = []
        var sqlite: [Double] = []
        for _ in 0..<runs {
            weir.append(
                try await AckedIngest.run(try work.fresh("store"), events: events, sends: true))
            sqlite.append(try insert(events))
        }
        let ratios = zip(sqlite, weir).map { $0 / $1 }
        let ratio = RecoveryRow(name: "", values: ratios, unit: "").median
        return [
            RecoveryRow(
                name: "R5  Weir: TCP to acknowledged and handled", values: weir, unit: "ns/record"),
            RecoveryRow(
                name: "R5  SQLite WAL, synchronous=FULL, 1024 a transaction, no network",
                values: sqlite, unit: "ns/record"),
            RecoveryRow(
                name: "R5  SQLite against Weir", values: ratios, unit: "×", bar: "≥ 2×",
                isMet: ratio >= 2),
        ]
    }

    private func insert(_ count: Int) throws -> Double {
        var text = [CChar](repeating: 0, count: 200)
        let path = "\(try work.fresh("sqlite"))/log.db"
        let nanoseconds = csqlite_insert(path, Int64(count), 1_024, &text, Int64(text.count))
        guard nanoseconds >= 0 else {
            let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw MeasurementError(
                description: "SQLite: \(String(decoding: bytes, as: UTF8.self))")
        }
        return Double(nanoseconds) / Double(count)
    }
}
