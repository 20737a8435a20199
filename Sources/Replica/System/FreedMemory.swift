#if canImport(Glibc)
    import Glibc
#endif

/// Freed memory that the C library keeps for later use.
package enum FreedMemory {
    /// Returns it to the system if the C library can: glibc keeps most of the memory that a large import has used. Takes
    /// some milliseconds.
    package static func giveBack() {
        #if canImport(Glibc)
            // Swift has no declaration of it. The look-up by name finds none in other C libraries, and then this does
            // nothing.
            guard let symbol = dlsym(nil, "malloc_trim") else { return }
            typealias Trim = @convention(c) (Int) -> CInt
            _ = unsafeBitCast(symbol, to: Trim.self)(0)
        #endif
    }
}
