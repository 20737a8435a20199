import Foundation

/// The wall clock. Tests may set it ahead through the environment; the monotonic clock is never changed.
package enum WallClock {
    /// Seconds by which `HANSA_TEST_CLOCK_AHEAD` moves this node's wall clock; only for tests.
    private static let aheadMilliseconds: Int64 =
        (ProcessInfo.processInfo.environment["HANSA_TEST_CLOCK_AHEAD"].flatMap { Int64($0) } ?? 0) * 1000

    /// Unix milliseconds.
    package static var milliseconds: UInt64 {
        UInt64(max(0, Int64(Date().timeIntervalSince1970 * 1000) + aheadMilliseconds))
    }
}
