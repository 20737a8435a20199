internal import CZlib

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// A file that is read from its beginning in portions, once or several times. A gzip file (RFC 1952, detected by its
/// first two bytes) is inflated.
///
/// Not Sendable: one task reads it. Memory: 64 KiB and zlib's 40 KiB, independent of the file's size.
package final class InputFile: ByteSource {
    /// The file's name in messages.
    package let name: String
    /// The size on disk in bytes.
    package let byteCount: Int
    /// Bytes read from disk since the last ``rewind()``, for progress; counted before inflating.
    package private(set) var bytesRead = 0
    /// True if the file is compressed; known after the first read.
    package private(set) var isCompressed = false
    /// Called with the file's bytes as stored on disk, in order, while they are read; used to hash the file. Set it
    /// before the first read of a pass.
    package var onRawBytes: ((UnsafeRawBufferPointer) -> Void)?
    /// Called before each read from disk. If it returns true, the read throws ``InterchangeError/Code/cancelled``.
    package var isCancelled: (() -> Bool)?

    /// The file's last modification time at opening.
    private let changedAt: timespec
    private let descriptor: CInt
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    private var pending = 0..<0
    private var hasBegun = false
    private var diskEnded = false
    private var inflater: Inflater?

    /// Opens a file for reading, as ``open(path:shownName:)``.
    ///
    /// - Parameter shownName: the file's name in messages; nil for the path.
    package convenience init(path: String, shownName: String? = nil) throws(InterchangeError) {
        let name = shownName ?? path
        try self.init(owning: Self.open(path: path, shownName: name), name: name)
    }

    /// Reads an open regular file, from its beginning.
    ///
    /// - Parameters:
    ///   - descriptor: closed with this.
    ///   - name: the file's name in messages.
    ///
    /// Throws ``InterchangeError/Code/cannotRead``.
    package init(owning descriptor: CInt, name: String) throws(InterchangeError) {
        self.name = name
        self.descriptor = descriptor
        var status = stat()
        let isKnown = fstat(descriptor, &status) == 0
        changedAt = status.st_mtim
        byteCount = Int(status.st_size)
        guard isKnown, lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw InterchangeError(.cannotRead, "\(name) cannot be read: \(Self.systemReason())")
        }
    }

    /// Opens a regular file and gives its descriptor, which the caller closes.
    ///
    /// Throws ``InterchangeError/Code/cannotRead`` with the system's reason. Only a regular file is accepted: a
    /// directory has no bytes, a pipe cannot be read twice, a device may have no end. The call does not block.
    package static func open(path: String, shownName name: String) throws(InterchangeError) -> CInt {
        // Non-blocking: otherwise the opening of a pipe would wait for its writer.
        let opened = Self.openSystem(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard opened >= 0 else {
            throw InterchangeError(.cannotRead, "\(name) cannot be opened: \(systemReason())")
        }
        var status = stat()
        guard fstat(opened, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(opened)
            throw InterchangeError(.cannotRead, "\(name) is \(kind(ofMode: UInt32(status.st_mode))); give a file")
        }
        return opened
    }

    private static func openSystem(_ path: String, _ flags: CInt) -> CInt {
        #if canImport(Glibc)
            Glibc.open(path, flags)
        #else
            Darwin.open(path, flags)
        #endif
    }

    /// The noun for a file that is not regular, by its mode.
    package static func kind(ofMode mode: UInt32) -> String {
        switch mode_t(mode) & S_IFMT {
        case S_IFDIR: "a directory"
        case S_IFIFO: "a pipe"
        case S_IFSOCK: "a socket"
        default: "a device"
        }
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// True if the file was written to after it was opened, judged by its size and its last modification time.
    package var hasChanged: Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return Int(status.st_size) != byteCount || status.st_mtim.tv_sec != changedAt.tv_sec
            || status.st_mtim.tv_nsec != changedAt.tv_nsec
    }

    /// Returns to the beginning. Throws ``InterchangeError/Code/cannotRead`` if the system cannot seek in the file.
    package func rewind() throws(InterchangeError) {
        guard lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw InterchangeError(.cannotRead, "\(name) cannot be read twice: \(Self.systemReason())")
        }
        bytesRead = 0
        pending = 0..<0
        hasBegun = false
        diskEnded = false
        inflater = nil
        isCompressed = false
    }

    /// Reads the next bytes and inflates them if the file is compressed; returns 0 at the end.
    ///
    /// Throws ``InterchangeError/Code/cannotRead`` and ``InterchangeError/Code/badGzip``. A compressed file that ends
    /// early, is damaged, or has non-zero bytes after its last member is an error.
    package func read(into target: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Int {
        if !hasBegun {
            hasBegun = true
            while pending.count < 2, try fill() {}
            if pending.count >= 2, buffer[pending.lowerBound] == 0x1F, buffer[pending.lowerBound + 1] == 0x8B {
                isCompressed = true
                inflater = try Inflater(name: name)
            }
        }
        guard let inflater else {
            if pending.isEmpty {
                // Directly into the caller's memory: this avoids a second copy.
                let count = try readDisk(into: target)
                return count
            }
            let count = min(pending.count, target.count)
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[pending.prefix(count)]))
            pending = pending.dropFirst(count)
            return count
        }
        while true {
            if pending.isEmpty { _ = try fill() }
            let step = try inflater.step(
                input: UnsafeRawBufferPointer(rebasing: buffer[pending]),
                inputEnded: diskEnded,
                output: target
            )
            pending = pending.dropFirst(step.consumed)
            if step.produced > 0 || step.ended { return step.produced }
        }
    }

    /// Appends bytes from disk to the pending ones; false at the end of the file.
    private func fill() throws(InterchangeError) -> Bool {
        guard !diskEnded else { return false }
        if pending.isEmpty { pending = 0..<0 }
        let free = UnsafeMutableRawBufferPointer(rebasing: buffer[pending.upperBound...])
        let count = try readDisk(into: free)
        pending = pending.lowerBound..<pending.upperBound + count
        return count > 0
    }

    private func readDisk(into target: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Int {
        guard !diskEnded else { return 0 }
        if let isCancelled, isCancelled() {
            throw InterchangeError(.cancelled, "reading \(name) was cancelled")
        }
        let count = Self.retrying { Self.readSome(descriptor, target) }
        guard count >= 0 else {
            throw InterchangeError(.cannotRead, "\(name) cannot be read: \(Self.systemReason())")
        }
        if count == 0 { diskEnded = true }
        bytesRead += count
        onRawBytes?(UnsafeRawBufferPointer(rebasing: target[..<count]))
        return count
    }

    private static func readSome(_ descriptor: CInt, _ target: UnsafeMutableRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.read(descriptor, target.baseAddress, target.count)
        #else
            Darwin.read(descriptor, target.baseAddress, target.count)
        #endif
    }

    private static func retrying(_ call: () -> Int) -> Int {
        while true {
            let result = call()
            if result >= 0 || errno != EINTR { return result }
        }
    }

    private static func systemReason() -> String {
        String(cString: strerror(errno))
    }
}

/// Inflates a gzip stream of one or several members.
final class Inflater {
    struct Step {
        var consumed = 0
        var produced = 0
        var ended = false
    }

    private enum Position { case inMember, betweenMembers, padding }

    private let name: String
    /// Separately allocated, because zlib's state stores its own address.
    private let stream: UnsafeMutablePointer<z_stream>
    private var position = Position.inMember

    init(name: String) throws(InterchangeError) {
        self.name = name
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // A window of 15 bits; 16 selects gzip's header and checksum.
        guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw InterchangeError(.badGzip, "\(name) cannot be inflated: zlib does not start")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// Calls zlib once, or checks the bytes between members.
    func step(
        input: UnsafeRawBufferPointer,
        inputEnded: Bool,
        output: UnsafeMutableRawBufferPointer
    ) throws(InterchangeError) -> Step {
        guard let first = input.first else {
            guard inputEnded else { return Step() }
            guard position != .inMember else {
                throw InterchangeError(.badGzip, "\(name) is cut short: its gzip stream does not end; fetch it again")
            }
            return Step(ended: true)
        }
        if position == .padding || (position == .betweenMembers && first == 0) {
            guard input.allSatisfy({ $0 == 0 }) else { throw garbage() }
            position = .padding
            return Step(consumed: input.count)
        }
        if position == .betweenMembers {
            guard first == 0x1F else { throw garbage() }
            position = .inMember
            guard inflateReset(stream) == Z_OK else { throw garbage() }
        }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let room = min(output.count, 1 << 30)
        stream.pointee.avail_out = UInt32(room)
        let status = inflate(stream, Z_NO_FLUSH)
        let step = Step(
            consumed: input.count - Int(stream.pointee.avail_in),
            produced: room - Int(stream.pointee.avail_out)
        )
        switch status {
        case Z_OK: break
        case Z_STREAM_END: position = .betweenMembers
        case Z_BUF_ERROR where step.consumed > 0 || step.produced > 0: break
        default: throw InterchangeError(.badGzip, "\(name) is damaged: its gzip stream has an error; fetch it again")
        }
        return step
    }

    private func garbage() -> InterchangeError {
        InterchangeError(.badGzip, "\(name) is damaged: unexpected data after the end of its gzip stream")
    }
}
