import Catalog
import DeltaLog

/// What this node pushed to one peer and the peer has not confirmed, and what the peer is to be told is stored.
///
/// The invariant, which ``violation(settings:)`` checks: ``outstanding`` is the sum of the bytes of ``pushed``, and at most
/// ``EngineSettings/pushWindow``.
struct Pushing {
    /// The last delta of each log pushed and not confirmed, with the bytes pushed of the log.
    private(set) var pushed: [LogID: (sequence: UInt64, bytes: Int)] = [:]
    /// Bytes pushed and not confirmed.
    private(set) var outstanding = 0
    /// Logs that the peer pushed, and is to be told are stored.
    private var unconfirmed: Set<LogID> = []

    /// True if so many bytes more may be pushed.
    func hasRoom(for size: Int, settings: EngineSettings) -> Bool { outstanding + size <= settings.pushWindow }

    /// Notes that a delta is pushed.
    mutating func push(_ log: LogID, _ sequence: UInt64, byteCount: Int) {
        pushed[log] = (sequence, (pushed[log]?.bytes ?? 0) + byteCount)
        outstanding += byteCount
    }

    /// The peer has confirmed that it holds a log up to there.
    mutating func confirm(_ log: LogID, _ sequence: UInt64) {
        guard let position = pushed.index(forKey: log), pushed.values[position].sequence <= sequence else { return }
        outstanding -= pushed.remove(at: position).value.bytes
    }

    /// What was pushed of a log did not arrive.
    mutating func forget(_ log: LogID) {
        if let pushed = pushed.removeValue(forKey: log) { outstanding -= pushed.bytes }
    }

    /// The peer holds all that was pushed.
    mutating func confirmAll() {
        pushed = [:]
        outstanding = 0
    }

    /// Notes that logs which the peer pushed are stored.
    mutating func stored(_ logs: [LogID]) { unconfirmed.formUnion(logs) }

    /// The logs that the peer is to be told are stored. From now on it is told.
    mutating func takeUnconfirmed() -> Set<LogID> {
        defer { unconfirmed = [] }
        return unconfirmed
    }

    /// The first invariant that does not hold, in words; nil where all hold.
    func violation(settings: EngineSettings) -> String? {
        if pushed.values.reduce(0, { $0 + $1.bytes }) != outstanding { return "\(outstanding) bytes pushed by the sum" }
        return outstanding > settings.pushWindow ? "\(outstanding) bytes pushed and not confirmed" : nil
    }
}
