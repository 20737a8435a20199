import Foundation

/// The processor time that this thread has used.
enum ProcessorTime {
    /// In microseconds, from an arbitrary start; it never decreases.
    static var microseconds: UInt64 {
        var time = timespec()
        // This clock is always there on Linux; the call fails for an unknown clock only.
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_nsec)) / 1000
    }
}
