/// A stamp of a hybrid logical clock: 48 bits of Unix milliseconds, then a 16-bit counter.
///
/// Source: Kulkarni, Demirbas, Madappa, Avva, Leone 2014, "Logical Physical Clocks", section 4, in the packed form of
/// section 6. Here a stamp only breaks ties between concurrent values; it never decides whether a later edit wins.
package struct Stamp: Hashable, Comparable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package init(milliseconds: UInt64, counter: UInt16) {
        rawValue = milliseconds << 16 | UInt64(counter)
    }

    /// Unix milliseconds.
    package var milliseconds: UInt64 { rawValue >> 16 }
    package var counter: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

    package static func < (left: Stamp, right: Stamp) -> Bool { left.rawValue < right.rawValue }
}

/// The node's own clock.
package struct HybridLogicalClock: Sendable {
    /// The maximum time in milliseconds by which a received stamp may be ahead of the wall clock and still advance this
    /// clock.
    ///
    /// Five minutes: a larger difference is a wrong clock, not a delay (Protocol.md, section 7). The node still accepts
    /// such a delta and reports its author's clock skew.
    package static let aheadMillisecondsMax: UInt64 = 5 * 60 * 1000

    /// The latest stamp issued or observed.
    package private(set) var latest: Stamp

    package init(latest: Stamp = Stamp(rawValue: 0)) {
        self.latest = latest
    }

    /// Issues a stamp for a local write, later than every stamp before it.
    ///
    /// If the latest stamp is too far ahead of `wallMilliseconds`, the clock restarts from the wall clock.
    package mutating func tick(wallMilliseconds: UInt64) -> Stamp {
        let wall = Stamp(milliseconds: wallMilliseconds & 0xFFFF_FFFF_FFFF, counter: 0)
        if isTooFarAhead(latest, wallMilliseconds: wallMilliseconds) || wall > latest {
            latest = wall
        } else {
            latest = Stamp(rawValue: latest.rawValue &+ 1)
        }
        return latest
    }

    /// Observes the stamp of a received delta; ignores one that is too far ahead.
    package mutating func observe(_ stamp: Stamp, wallMilliseconds: UInt64) {
        guard !isTooFarAhead(stamp, wallMilliseconds: wallMilliseconds) else { return }
        latest = max(latest, stamp)
    }

    private func isTooFarAhead(_ stamp: Stamp, wallMilliseconds: UInt64) -> Bool {
        stamp.milliseconds > wallMilliseconds + Self.aheadMillisecondsMax
    }
}
