import Catalog
import Testing

/// Tests Kulkarni et al. 2014, section 4.
struct HybridLogicalClockTests {
    @Test func eachStampIsLaterThanTheOneBefore() {
        var clock = HybridLogicalClock()
        var last = Stamp(rawValue: 0)
        for wall: UInt64 in [1000, 1000, 999, 1001, 1001] {
            let stamp = clock.tick(wallMilliseconds: wall)
            #expect(stamp > last)
            last = stamp
        }
        #expect(last == Stamp(milliseconds: 1001, counter: 1))
    }

    @Test func aWriteIsLaterThanReceivedStamps() {
        var clock = HybridLogicalClock()
        clock.observe(
            Stamp(milliseconds: 1000 + HybridLogicalClock.aheadMillisecondsMax, counter: 7),
            wallMilliseconds: 1000
        )
        #expect(clock.tick(wallMilliseconds: 1000) == Stamp(milliseconds: 301_000, counter: 8))
    }

    @Test func aStampTooFarAheadChangesNothing() {
        var clock = HybridLogicalClock()
        for milliseconds: UInt64 in [301_001, 0xFFFF_FFFF_FFFF] {
            clock.observe(Stamp(milliseconds: milliseconds, counter: .max), wallMilliseconds: 1000)
        }
        #expect(clock.latest == Stamp(rawValue: 0))
        #expect(clock.tick(wallMilliseconds: 1000) == Stamp(milliseconds: 1000, counter: 0))
    }

    @Test func aClockTooFarAheadRestartsFromTheWallClock() {
        var clock = HybridLogicalClock(latest: Stamp(milliseconds: 90_000_000, counter: 3))
        #expect(clock.tick(wallMilliseconds: 1000) == Stamp(milliseconds: 1000, counter: 0))
    }

    @Test func aFullCounterRunsIntoTheMilliseconds() {
        var clock = HybridLogicalClock(latest: Stamp(milliseconds: 1000, counter: .max))
        #expect(clock.tick(wallMilliseconds: 1000) == Stamp(milliseconds: 1001, counter: 0))
    }
}
