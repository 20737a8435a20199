import Catalog
import DeltaLog
import Dispatch
import Synchronization

/// A stored delta in one of two forms: its bytes, or the result of checking them.
struct FiledDelta<Form: Sendable>: Sendable {
    /// The location of its first operation.
    let id: Int64
    let count: Int64
    /// The log and sequence under which it is stored, and its stored hash.
    let log: LogID?
    let sequence: UInt64
    let hash: [UInt8]
    /// A ``DeltaRefusal`` or a ``StoreError`` if it is damaged.
    let form: Result<Form, any Error>

    /// The same delta in another form.
    func with<Other>(_ form: Result<Other, any Error>) -> FiledDelta<Other> {
        FiledDelta<Other>(id: id, count: count, log: log, sequence: sequence, hash: hash, form: form)
    }
}

typealias CheckedDelta = FiledDelta<VerifiedDelta>

/// The order in which stored deltas are read.
enum DeltaOrder {
    /// The order of arrival; only deltas after a position.
    case arrival(after: Int64)
    /// The same order on every node: logs ascending by author, then by incarnation as a signed number; each log by
    /// sequence.
    case canonical
}

/// Stored deltas in a given order. All processors check the next batch while the caller works on the present one. At
/// most two batches are in memory.
///
/// Other threads only check; the caller's thread reads the database, so database calls have one order.
struct CheckedDeltas<Checker: Cryptography>: ~Copyable {
    /// Bytes of deltas at which a batch ends. Decoded deltas take up to 20 times as much.
    private static var bytesMax: Int { 8 * 1024 * 1024 }

    private let applier: DeltaApplier<Checker>
    private let operationsMax: Int
    /// Receives the terms of the deltas until they are merged; nil to prepare none.
    private let ahead: TermsAhead?
    /// The next batch begins after this position.
    private var position: StoredDeltaPosition
    private var pending: Pending<[CheckedDelta]>?
    private var isBegun = false

    /// - Parameter operationsMax: A batch ends with the delta that brings it to this number of operations.
    init(_ order: DeltaOrder, operationsMax: Int, applier: DeltaApplier<Checker>, ahead: TermsAhead?) {
        position =
            switch order {
            case .arrival(let id): .arrival(id)
            case .canonical: .begin
            }
        self.operationsMax = operationsMax
        self.applier = applier
        self.ahead = ahead
    }

    /// The next batch; empty at the end. This also reads the batch after it and starts to check that one.
    mutating func next(from reading: ReadTransaction) throws -> [CheckedDelta] {
        if !isBegun { pending = try begin(from: reading) }
        isBegun = true
        guard let current = pending else { return [] }
        pending = try begin(from: reading)
        return current.value()
    }

    private mutating func begin(from reading: ReadTransaction) throws -> Pending<[CheckedDelta]>? {
        let stored = try reading.stored(
            after: &position,
            operationsMax: operationsMax,
            bytesMax: Self.bytesMax
        )
        guard !stored.isEmpty else { return nil }
        return Pending { [applier, ahead] in Self.check(stored, applier, ahead) }
    }

    private static func check(
        _ stored: [FiledDelta<[UInt8]>],
        _ applier: DeltaApplier<Checker>,
        _ ahead: TermsAhead?
    ) -> [CheckedDelta] {
        let checked = Mutex<[Int: Result<VerifiedDelta, any Error>]>([:])
        DispatchQueue.concurrentPerform(iterations: stored.count) { index in
            let result = Result {
                let delta = try VerifiedDelta(
                    verifying: try stored[index].form.get()[...],
                    alliance: applier.alliance,
                    cryptography: applier.hasher
                )
                ahead?.prepare(delta.operations, root: delta.header.root)
                return delta
            }
            checked.withLock { $0[index] = result }
        }
        let results = checked.withLock { $0 }
        return stored.indices.map { index in
            stored[index].with(results[index] ?? .failure(StoreError.damaged("table delta")))
        }
    }
}

/// A value that another thread computes.
package final class Pending<Value: Sendable>: Sendable {
    private let result = Mutex<Value?>(nil)
    private let group: DispatchGroup

    package init(_ work: @escaping @Sendable () -> Value) {
        let group = DispatchGroup()
        self.group = group
        DispatchQueue.global(qos: .userInitiated).async(group: group) { [self] in
            let value = work()
            result.withLock { $0 = value }
        }
    }

    /// True if the value is available, so ``value()`` does not wait.
    package var isDone: Bool { result.withLock { $0 != nil } }

    /// Waits for the value and returns it.
    package func value() -> Value {
        group.wait()
        // The group becomes empty only after the value was stored.
        return result.withLock { $0! }
    }
}

/// A position in a walk over the stored deltas.
private enum StoredDeltaPosition {
    /// After the delta with this position in the order of arrival.
    case arrival(Int64)
    /// Before the first in canonical order.
    case begin
    /// In a log, after a sequence.
    case log(author: [UInt8], incarnation: Int64, number: Int64, sequence: Int64)
    case end
}

extension ReadTransaction {
    /// The Delta messages after a position, until they have enough operations or bytes; empty at the end.
    fileprivate func stored(
        after position: inout StoredDeltaPosition,
        operationsMax: Int,
        bytesMax: Int
    ) throws -> [FiledDelta<[UInt8]>] {
        var stored: [FiledDelta<[UInt8]>] = []
        var operations = 0
        var bytes = 0
        func isFull() -> Bool { operations >= operationsMax || bytes >= bytesMax }
        func add(_ sql: SQL) throws {
            let delta = try filed(sql)
            stored.append(delta)
            operations += Int(clamping: min(max(1, delta.count), Int64(operationsMax)))
            bytes += (try? delta.form.get().count) ?? 0
        }
        while !isFull() {
            switch position {
            case .arrival(let id):
                let sql = try session(
                    "SELECT id, count, header, signature, hash, log, sequence FROM whole WHERE id > ? ORDER BY id"
                )
                sql.bind(1, id)
                defer { sql.reset() }
                while !isFull(), try sql.step() { try add(sql) }
                position = stored.last.map { .arrival($0.id) } ?? .end
                if !isFull() { return stored }
            case .begin: position = try log(after: nil) ?? .end
            case .log(let author, let incarnation, let number, var sequence):
                let sql = try session(
                    """
                    SELECT id, count, header, signature, hash, log, sequence FROM whole
                    WHERE log = ? AND sequence > ? ORDER BY sequence
                    """
                )
                sql.bind(1, number).bind(2, sequence)
                defer { sql.reset() }
                while !isFull(), try sql.step() {
                    try add(sql)
                    sequence = sql.int(6)
                }
                position =
                    isFull()
                    ? .log(author: author, incarnation: incarnation, number: number, sequence: sequence)
                    : try log(after: (author, incarnation)) ?? .end
            case .end: return stored
            }
        }
        return stored
    }

    /// The beginning of the next log that has deltas, in canonical order. Logarithmic, plus the number of skipped logs
    /// without deltas.
    private func log(after last: (author: [UInt8], incarnation: Int64)?) throws -> StoredDeltaPosition? {
        try session(
            """
            SELECT author, incarnation, id FROM log
            WHERE (author, incarnation) > (?, ?) AND EXISTS (SELECT 1 FROM delta WHERE delta.log = log.id)
            ORDER BY author, incarnation LIMIT 1
            """
        ).bind(1, last?.author ?? []).bind(2, last?.incarnation ?? .min).first {
            .log(author: $0.bytes(0), incarnation: $0.int(1), number: $0.int(2), sequence: .min)
        }
    }

    private func filed(_ sql: SQL) throws -> FiledDelta<[UInt8]> {
        let (id, count, number) = (sql.int(0), sql.int(1), sql.int(5))
        let (header, signature) = (sql.bytes(2), sql.bytes(3))
        return FiledDelta(
            id: id,
            count: count,
            log: try? log(number),
            sequence: UInt64(bitPattern: sql.int(6)),
            hash: sql.bytes(4),
            form: Result { try message(id, count: count, header: header, signature: signature) }
        )
    }
}
