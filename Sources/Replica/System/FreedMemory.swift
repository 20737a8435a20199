#if canImport(Glibc)
    import Glibc
#endif

/// Memory that was freed and that the C library keeps for later.
package enum FreedMemory {
    /// Gives it back to the system, where the C library can: glibc keeps most of what a large import has used. Some
    /// milliseconds.
    package static func giveBack() {
        #if canImport(Glibc)
            // Not declared to Swift; found by name, so that another C library does without.
            guard let symbol = dlsym(nil, "malloc_trim") else { return }
            typealias Trim = @convention(c) (Int) -> CInt
            _ = unsafeBitCast(symbol, to: Trim.self)(0)
        #endif
    }
}
