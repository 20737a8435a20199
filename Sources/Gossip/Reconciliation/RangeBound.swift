package import Catalog

/// The end of a range of logs and the start of the next one: the first bytes of a log's name (author, then
/// incarnation). One bound marks the end of all logs. A bound has as many bytes as are needed to separate two logs;
/// missing bytes count as zero.
package struct RangeBound: Hashable, Sendable {
    /// At most 40 bytes, of which the last one is not zero; nil for the end of all logs.
    package let bytes: [UInt8]?

    /// The bound before all logs.
    package static let start = RangeBound(unchecked: [])
    /// The bound behind all logs.
    package static let end = RangeBound(unchecked: nil)

    private init(unchecked bytes: [UInt8]?) {
        self.bytes = bytes
    }

    /// Nil for more than 40 bytes, or if the last byte is zero: each bound has one encoding.
    package init?(bytes: [UInt8]) {
        guard bytes.count <= LogID.byteCount, bytes.last != 0 else { return nil }
        self.bytes = bytes
    }

    /// The shortest bound behind `before` and not behind `log`, which must be greater than `before`.
    package init(between before: LogID, and log: LogID) {
        let (low, high) = (before.bytes, log.bytes)
        let common = zip(low, high).prefix { $0 == $1 }.count
        // The first byte that differs is greater in `log`, so it is not zero.
        bytes = Array(high.prefix(common + 1))
    }

    /// True if the log is before this bound.
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

    /// True if this bound is behind the other one.
    package func isAfter(_ other: RangeBound) -> Bool {
        guard let bytes else { return other.bytes != nil }
        guard let others = other.bytes else { return false }
        // No bound ends with a zero byte, so of two bounds with the same start the longer one is the greater.
        return others.lexicographicallyPrecedes(bytes)
    }
}
