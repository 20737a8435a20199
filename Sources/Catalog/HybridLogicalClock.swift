/// A hybrid logical clock's stamp: 48 bits of Unix milliseconds, then 16 bits of counter.
///
/// Source: Kulkarni, Demirbas, Madappa, Avva, Leone 2014, "Logical Physical Clocks", section 4, in the packed form of
/// its section 6. Here a stamp only breaks ties between concurrent values; it never decides whether a later edit wins.
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
    /// How far ahead of the wall clock a foreign stamp may lie and still advance this clock, in milliseconds.
    ///
    /// Five minutes: beyond that it is a wrong clock, not a delay (Protocol.md, section 7). Such a stamp is still accepted
    /// with its delta, and shown as its author's skew.
    package static let aheadMillisecondsMax: UInt64 = 5 * 60 * 1000

    /// The latest stamp given out or taken in.
    package private(set) var latest: Stamp

    package init(latest: Stamp = Stamp(rawValue: 0)) {
        self.latest = latest
    }

    /// A stamp for an own write: later than every one before it, unless the latest lies too far ahead of
    /// `wallMilliseconds`, in which case it starts again from the wall clock.
    package mutating func tick(wallMilliseconds: UInt64) -> Stamp {
        let wall = Stamp(milliseconds: wallMilliseconds & 0xFFFF_FFFF_FFFF, counter: 0)
        if isTooFarAhead(latest, wallMilliseconds: wallMilliseconds) || wall > latest {
            latest = wall
        } else {
            latest = Stamp(rawValue: latest.rawValue &+ 1)
        }
        return latest
    }

    /// Takes in the stamp of a delta received; one too far ahead changes nothing.
    package mutating func observe(_ stamp: Stamp, wallMilliseconds: UInt64) {
        guard !isTooFarAhead(stamp, wallMilliseconds: wallMilliseconds) else { return }
        latest = max(latest, stamp)
    }

    private func isTooFarAhead(_ stamp: Stamp, wallMilliseconds: UInt64) -> Bool {
        stamp.milliseconds > wallMilliseconds + Self.aheadMillisecondsMax
    }
}
