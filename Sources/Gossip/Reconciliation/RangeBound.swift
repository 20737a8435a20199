package import Catalog

/// Where a range of logs ends and the next one begins: the first bytes of a log's name (author, then incarnation), so
/// many as are needed to lie between two logs; what is missing counts as zero bytes. Or the end of all.
package struct RangeBound: Hashable, Sendable {
    /// At most 40 bytes, the last one not zero; nil for the end of all.
    package let bytes: [UInt8]?

    /// Before all logs.
    package static let start = RangeBound(unchecked: [])
    /// Behind all logs.
    package static let end = RangeBound(unchecked: nil)

    private init(unchecked bytes: [UInt8]?) {
        self.bytes = bytes
    }

    /// Nil for more than 40 bytes, or where the last byte is zero: there is one way to write a bound.
    package init?(bytes: [UInt8]) {
        guard bytes.count <= LogID.byteCount, bytes.last != 0 else { return nil }
        self.bytes = bytes
    }

    /// The shortest bound behind `before` and not behind `log`, where `before` is less than `log`.
    package init(between before: LogID, and log: LogID) {
        let (low, high) = (before.bytes, log.bytes)
        let common = zip(low, high).prefix { $0 == $1 }.count
        // The first byte that differs is greater in `log`, so it is not zero.
        bytes = Array(high.prefix(common + 1))
    }

    /// True if the log lies before this bound.
    package func isAfter(_ log: LogID) -> Bool {
        guard let bytes else { return true }
        let words = log.author.hash
        for (position, byte) in bytes.enumerated() {
            let own =
                switch position >> 3 {
                case 0: words.word0
                case 1: words.word1
                case 2: words.word2
                case 3: words.word3
                default: log.incarnation
                }
            let other = UInt8(truncatingIfNeeded: own >> UInt64(56 - 8 * (position & 7)))
            if other != byte { return other < byte }
        }
        return false
    }

    /// True if this bound lies behind the other one.
    package func isAfter(_ other: RangeBound) -> Bool {
        guard let bytes else { return other.bytes != nil }
        guard let others = other.bytes else { return false }
        // No bound ends with a zero byte, so a longer one of the same beginning is the greater.
        return others.lexicographicallyPrecedes(bytes)
    }
}
