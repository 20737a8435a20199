/// How far a node looks into the contents of one record.
///
/// A record is **wide** if more is live in it than these bounds allow. No honest record is: a node that writes supersedes
/// what it holds, so few writes of a field are live at once. Of a wide record everything is merged, hashed and passed on like
/// any other; but its first live operations alone are indexed for search, a register that several writes set counts as a
/// conflict without a look at the values, and a part of it is shown. So its owner cannot make each further operation cost
/// everybody the reading of all those before it.
///
/// All of this depends on the state alone, never on the order in which operations came.
package enum RecordReach {
    /// Live operations. 1,024, a guess: reading them takes some 4 ms.
    package static let operationsMax = 1024
    /// Live writes. 16,384, a guess.
    package static let writesMax = 16_384
    /// Bytes of the live operations' envelopes and contents. 2 MiB, a guess: eight times what a node writes in one
    /// operation.
    package static let bytesMax = 2 * 1024 * 1024
}

extension RecordState {
    /// How many of the first live operations, ascending by dot, are within ``RecordReach``, and whether the record is wide.
    /// The operation that exceeds a bound is the last one counted.
    ///
    /// - Parameter byteCount: The bytes of an operation's envelope and content. Called for operations within reach only.
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

    /// True if the record is wide. Asks for the bytes of no operation where there are too many of them.
    ///
    /// - Parameter byteCount: As for ``reach(_:)``.
    package func isWide(_ byteCount: (LiveOperation) throws -> Int) rethrows -> Bool {
        try operations.count > RecordReach.operationsMax || reach(byteCount).isWide
    }
}
