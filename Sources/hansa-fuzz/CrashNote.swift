import Glibc
import Gossip

/// The position of the run, stored where a signal handler can read it. A trap ends the process; the handler first
/// prints the seed, step and input.
enum CrashNote {
    private struct Note {
        var seed: UInt64 = 0
        var step: UInt64 = 0
        var node: UInt64 = 0
        var input: StaticString = "nothing"
        var frameCount = 0
    }

    /// The maximum number of stored bytes of a frame.
    private static let frameBytesMax = 256

    // Written by the one thread that runs seeds. Read by the handler on the thread that traps, which is the same thread
    // or one that it waits for.
    private nonisolated(unsafe) static let note: UnsafeMutablePointer<Note> = {
        let note = UnsafeMutablePointer<Note>.allocate(capacity: 1)
        note.initialize(to: Note())
        return note
    }()
    private nonisolated(unsafe) static let frame = UnsafeMutablePointer<UInt8>.allocate(capacity: frameBytesMax)

    /// Installs handlers that print the note when the process traps.
    static func install() {
        note.pointee = Note()
        frame.initialize(repeating: 0, count: frameBytesMax)
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT] { signal(number, handle) }
    }

    static func begin(seed: UInt64) { note.pointee = Note(seed: seed) }

    static func at(step: Int) { note.pointee.step = UInt64(step) }

    /// Records the input that a node is about to handle.
    static func at(node: Int, _ input: StaticString, frame bytes: [UInt8] = []) {
        note.pointee.node = UInt64(node)
        note.pointee.input = input
        note.pointee.frameCount = bytes.count
        for (offset, byte) in bytes.prefix(frameBytesMax).enumerated() { frame[offset] = byte }
    }

    /// Records that no node is at work.
    static func atItself() { at(node: 0, "no node, the fuzzer itself") }

    /// Must not allocate.
    private static let handle: @convention(c) (Int32) -> Void = { number in
        write("\nhansa-fuzz: signal ")
        write(UInt64(number))
        write(" at seed ")
        write(note.pointee.seed)
        write(", step ")
        write(note.pointee.step)
        write(", node ")
        write(note.pointee.node)
        write(": ")
        write(note.pointee.input)
        if note.pointee.frameCount > 0 {
            write(", a frame of ")
            write(UInt64(note.pointee.frameCount))
            write(" bytes that begins with ")
            for offset in 0..<min(note.pointee.frameCount, frameBytesMax) {
                let byte = frame[offset]
                put(digit(byte >> 4))
                put(digit(byte & 15))
            }
        }
        write("\n")
        signal(number, SIG_DFL)
        raise(number)
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }

    private static func put(_ byte: UInt8) {
        var byte = byte
        _ = Glibc.write(2, &byte, 1)
    }

    private static func write(_ text: StaticString) { _ = Glibc.write(2, text.utf8Start, text.utf8CodeUnitCount) }

    private static func write(_ number: UInt64) {
        if number >= 10 { write(number / 10) }
        put(48 + UInt8(number % 10))
    }
}
