import Catalog
import DeltaLog

/// The deltas pushed to one peer and not confirmed, and the confirmations that this node owes the peer.
///
/// The invariant, which ``violation(settings:)`` checks: ``outstanding`` is the sum of the bytes of ``pushed``, and at
/// most ``EngineSettings/pushWindow``.
struct Pushing {
    /// The last delta of each log that was pushed and not confirmed, with the bytes pushed of the log.
    private(set) var pushed: [LogID: (sequence: UInt64, bytes: Int)] = [:]
    /// Bytes pushed and not confirmed.
    private(set) var outstanding = 0
    /// Logs that the peer pushed and whose storage this node has yet to confirm.
    private var unconfirmed: Set<LogID> = []

    /// True if `size` more bytes may be pushed.
    func hasRoom(for size: Int, settings: EngineSettings) -> Bool { outstanding + size <= settings.pushWindow }

    /// Notes that a delta is pushed.
    mutating func push(_ log: LogID, _ sequence: UInt64, byteCount: Int) {
        pushed[log] = (sequence, (pushed[log]?.bytes ?? 0) + byteCount)
        outstanding += byteCount
    }

    /// Notes that the peer has confirmed a log up to a sequence.
    mutating func confirm(_ log: LogID, _ sequence: UInt64) {
        guard let position = pushed.index(forKey: log), pushed.values[position].sequence <= sequence else { return }
        outstanding -= pushed.remove(at: position).value.bytes
    }

    /// Forgets the pushes of a log, which did not arrive.
    mutating func forget(_ log: LogID) {
        if let pushed = pushed.removeValue(forKey: log) { outstanding -= pushed.bytes }
    }

    /// Notes that the peer holds everything that was pushed.
    mutating func confirmAll() {
        pushed = [:]
        outstanding = 0
    }

    /// Notes that logs which the peer pushed are stored.
    mutating func stored(_ logs: [LogID]) { unconfirmed.formUnion(logs) }

    /// Removes and returns the logs whose storage is to be confirmed to the peer.
    mutating func takeUnconfirmed() -> Set<LogID> {
        defer { unconfirmed = [] }
        return unconfirmed
    }

    /// A message about the first violated invariant; nil if all hold.
    func violation(settings: EngineSettings) -> String? {
        if pushed.values.reduce(0, { $0 + $1.bytes }) != outstanding { return "\(outstanding) bytes pushed by the sum" }
        return outstanding > settings.pushWindow ? "\(outstanding) bytes pushed and not confirmed" : nil
    }
}
