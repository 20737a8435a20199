/// The limits on how much of one record's content a node reads.
///
/// A record is **wide** if its live operations exceed these limits. Honest writers supersede the values that they hold,
/// so few writes of a field are live at once and no honest record is wide.
///
/// Nodes merge, hash and relay a wide record like any other. They index only its first live operations for search, and
/// show a part of it. A register that several writes set counts as a conflict; the values are not compared. The limits
/// prevent an owner from making all nodes read all earlier operations again for each new one.
///
/// The limits apply to the state alone, never to the order in which operations arrived.
package enum RecordReach {
    /// The maximum number of live operations. 1,024, a guess: reading them takes some 4 ms.
    package static let operationsMax = 1024
    /// The maximum number of live writes. 16,384, a guess.
    package static let writesMax = 16_384
    /// The maximum size of the live operations' envelopes and contents in bytes. 2 MiB, a guess: eight times the size
    /// that a node writes in one operation.
    package static let bytesMax = 2 * 1024 * 1024
}

extension RecordState {
    /// Counts the first live operations, in ascending order of dots, that are within ``RecordReach``, and tells whether
    /// the record is wide.
    ///
    /// The operation that exceeds a limit is the last one counted.
    ///
    /// - Parameter byteCount: Returns the size of an operation's envelope and content in bytes. Called only for
    ///   operations within reach.
    /// - Complexity: Linear in the operations within reach.
    package func reach(_ byteCount: (LiveOperation) throws -> Int) rethrows -> (count: Int, isWide: Bool) {
        var (writes, bytes) = (0, 0)
        for (position, operation) in operations.enumerated() {
            guard position < RecordReach.operationsMax, writes <= RecordReach.writesMax, bytes <= RecordReach.bytesMax
            else { return (position, true) }
            writes += operation.writes.count
            bytes += try byteCount(operation)
        }
        return (operations.count, writes > RecordReach.writesMax || bytes > RecordReach.bytesMax)
    }

    /// True if the record is wide. If there are too many operations, `byteCount` is never called.
    ///
    /// - Parameter byteCount: As for ``reach(_:)``.
    package func isWide(_ byteCount: (LiveOperation) throws -> Int) rethrows -> Bool {
        try operations.count > RecordReach.operationsMax || reach(byteCount).isWide
    }
}
