#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// Sorted runs of entries of a ``KeyIndex`` in an unlinked file, for files whose keys exceed the memory limit.
///
/// Memory: 64 KiB for each run during the merge.
final class KeyRuns {
    private let descriptor: CInt
    private var runs: [(start: Int, count: Int)] = []
    private var end = 0

    /// - Parameter folder: the folder for the temporary file, which exists as long as this object.
    init(in folder: String) throws(InterchangeError) {
        var template = Array("\(folder)/keys-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw Self.failure("cannot be made in \(folder)") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(template)
    }

    deinit { close(descriptor) }

    private static func failure(_ what: String) -> InterchangeError {
        InterchangeError(.noRoom, "the file of keys \(what): \(String(cString: strerror(errno)))")
    }

    /// Writes entries, which must be in order, as one more run.
    func append(_ entries: ArraySlice<KeyIndex.Entry>) throws(InterchangeError) {
        let result = entries.withUnsafeBytes { bytes -> Int in
            var done = 0
            while done < bytes.count {
                let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(end + done))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return -1 }
                done += count
            }
            return done
        }
        guard result >= 0 else { throw Self.failure("cannot be written") }
        runs.append((end, entries.count))
        end += result
    }

    /// Returns the entries of all runs one by one, in ascending order.
    struct Merge {
        private let source: KeyRuns
        private var readers: [Reader]

        fileprivate init(_ source: KeyRuns) throws(InterchangeError) {
            self.source = source
            readers = []
            for run in source.runs {
                var reader = Reader(position: run.start, left: run.count)
                try reader.fill(from: source)
                readers.append(reader)
            }
        }

        /// The lowest remaining entry; nil at the end. Linear in the number of runs.
        mutating func next() throws(InterchangeError) -> KeyIndex.Entry? {
            var lowest: (reader: Int, entry: KeyIndex.Entry)?
            for (number, reader) in readers.enumerated() {
                guard let entry = reader.first else { continue }
                if let other = lowest, KeyIndex.Entry.precedes(other.entry, entry) { continue }
                lowest = (number, entry)
            }
            guard let lowest else { return nil }
            try readers[lowest.reader].advance(in: source)
            return lowest.entry
        }
    }

    /// All entries in order.
    func merged() throws(InterchangeError) -> Merge { try Merge(self) }

    /// One run, read a portion at a time.
    private struct Reader {
        private static let portion = 4096
        private var position: Int
        private var left: Int
        private var entries: [KeyIndex.Entry] = []
        private var next = 0

        init(position: Int, left: Int) {
            self.position = position
            self.left = left
        }

        var first: KeyIndex.Entry? { next < entries.count ? entries[next] : nil }

        mutating func advance(in source: KeyRuns) throws(InterchangeError) {
            next += 1
            if next == entries.count { try fill(from: source) }
        }

        mutating func fill(from source: KeyRuns) throws(InterchangeError) {
            let count = min(left, Self.portion)
            var isWhole = true
            entries = [KeyIndex.Entry](unsafeUninitializedCapacity: count) { buffer, initialized in
                let bytes = UnsafeMutableRawBufferPointer(buffer.extracting(0..<count))
                var done = 0
                while done < bytes.count {
                    let read = pread(
                        source.descriptor,
                        bytes.baseAddress! + done,
                        bytes.count - done,
                        off_t(position + done)
                    )
                    if read < 0, errno == EINTR { continue }
                    guard read > 0 else { break }
                    done += read
                }
                isWhole = done == bytes.count
                initialized = isWhole ? count : 0
            }
            guard isWhole else { throw KeyRuns.failure("cannot be read") }
            next = 0
            left -= count
            position += count * MemoryLayout<KeyIndex.Entry>.stride
        }
    }
}
