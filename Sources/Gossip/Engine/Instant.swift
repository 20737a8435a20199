/// A moment, in nanoseconds from an arbitrary start. The engine gets it as an argument: from a monotonic clock in the
/// node, from a number in tests.
package struct Instant: Hashable, Comparable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static func + (instant: Instant, milliseconds: Milliseconds) -> Instant {
        Instant(nanoseconds: instant.nanoseconds &+ milliseconds.count * 1_000_000)
    }

    /// Whole milliseconds since `earlier`; 0 if that is later.
    package func milliseconds(since earlier: Instant) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? (nanoseconds - earlier.nanoseconds) / 1_000_000 : 0
    }

    package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}

/// A length of time.
package struct Milliseconds: Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral {
    package let count: UInt64

    package init(_ count: UInt64) {
        self.count = count
    }

    package init(integerLiteral count: UInt64) {
        self.count = count
    }

    package static func < (left: Milliseconds, right: Milliseconds) -> Bool { left.count < right.count }
}
