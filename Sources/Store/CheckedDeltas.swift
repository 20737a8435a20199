import Catalog
import DeltaLog
import Dispatch
import Synchronization

/// A delta as it is stored, in one form or another: its bytes, or what checking them gave.
struct FiledDelta<Form: Sendable>: Sendable {
    /// The location of its first operation.
    let id: Int64
    let count: Int64
    /// The log and the sequence that it is filed under, and its stored hash.
    let log: LogID?
    let sequence: UInt64
    let hash: [UInt8]
    /// A ``DeltaRefusal`` or a ``StoreError`` where it is damaged.
    let form: Result<Form, any Error>

    /// The same delta in another form.
    func with<Other>(_ form: Result<Other, any Error>) -> FiledDelta<Other> {
        FiledDelta<Other>(id: id, count: count, log: log, sequence: sequence, hash: hash, form: form)
    }
}

typealias CheckedDelta = FiledDelta<VerifiedDelta>

/// Stored deltas in the order of their arrival, checked on all processors while whoever asks for them is busy with those
/// before. Two batches are in memory at most.
///
/// Only checking is done on other threads: the database is read by whoever asks, so its calls come in one order.
struct CheckedDeltas<Checker: Cryptography>: ~Copyable {
    private let applier: DeltaApplier<Checker>
    private let operationsMax: Int
    /// Where the terms that deltas give are kept until they are merged; nil where they are not.
    private let ahead: TermsAhead?
    /// Behind which the next batch begins.
    private var position: Int64
    private var pending: Pending<[CheckedDelta]>?
    private var isBegun = false

    /// - Parameters:
    ///   - position: The first delta read is the next one behind it.
    ///   - operationsMax: A batch ends with the delta that brings it to so many.
    init(after position: Int64, operationsMax: Int, applier: DeltaApplier<Checker>, ahead: TermsAhead?) {
        self.position = position
        self.operationsMax = operationsMax
        self.applier = applier
        self.ahead = ahead
    }

    /// The next batch; empty at the end. The one behind it is read, and begins to be checked.
    mutating func next(from reading: ReadTransaction) throws -> [CheckedDelta] {
        if !isBegun { pending = try begin(from: reading) }
        isBegun = true
        guard let current = pending else { return [] }
        pending = try begin(from: reading)
        return current.value()
    }

    private mutating func begin(from reading: ReadTransaction) throws -> Pending<[CheckedDelta]>? {
        let stored = try reading.stored(after: position, operationsMax: operationsMax)
        guard let last = stored.last else { return nil }
        position = last.id
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
final class Pending<Value: Sendable>: Sendable {
    private let result = Mutex<Value?>(nil)
    private let group: DispatchGroup

    init(_ work: @escaping @Sendable () -> Value) {
        let group = DispatchGroup()
        self.group = group
        DispatchQueue.global(qos: .userInitiated).async(group: group) { [self] in
            let value = work()
            result.withLock { $0 = value }
        }
    }

    /// Waits for it.
    func value() -> Value {
        group.wait()
        // The group is empty once the value is there.
        return result.withLock { $0! }
    }
}

extension ReadTransaction {
    /// The Delta messages behind a position, in the order of their arrival, until there are enough operations.
    fileprivate func stored(after position: Int64, operationsMax: Int) throws -> [FiledDelta<[UInt8]>] {
        var stored: [FiledDelta<[UInt8]>] = []
        var operations: Int64 = 0
        let sql = try session(
            """
            SELECT id, count, header, signature, hash, log, sequence FROM whole WHERE id > ? ORDER BY id
            """
        )
        sql.bind(1, position)
        defer { sql.reset() }
        while operations < operationsMax, try sql.step() {
            let (id, count, number) = (sql.int(0), sql.int(1), sql.int(5))
            let (header, signature) = (sql.bytes(2), sql.bytes(3))
            stored.append(
                FiledDelta(
                    id: id,
                    count: count,
                    log: try? log(number),
                    sequence: UInt64(bitPattern: sql.int(6)),
                    hash: sql.bytes(4),
                    form: Result { try message(id, count: count, header: header, signature: signature) }
                )
            )
            operations += max(1, count)
        }
        return stored
    }
}
