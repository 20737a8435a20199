/// A source of bytes, read in portions.
package protocol ByteSource: AnyObject {
    /// Fills the front of `target`, which is not empty. Returns the number of bytes written, at least one; 0 means the
    /// end. Throws if the rest is unreadable.
    func read(into target: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Int
}

/// Bytes in memory, returned in portions of a chosen size.
package final class MemorySource: ByteSource {
    private let bytes: [UInt8]
    private let portionBytesMax: Int
    private var position = 0

    package init(_ bytes: [UInt8], portionBytesMax: Int = .max) {
        self.bytes = bytes
        self.portionBytesMax = max(1, portionBytesMax)
    }

    package func read(into target: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Int {
        let count = min(target.count, portionBytesMax, bytes.count - position)
        bytes.withUnsafeBytes { source in
            if count > 0 {
                target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[position..<position + count]))
            }
        }
        position += count
        return count
    }
}

/// A sliding window over a source: the bytes from the start of the current record to the end of the data read so far.
///
/// The window doubles if a record does not fit, up to a bound. The bound limits the memory use.
final class ByteWindow {
    enum Refill { case more, ended, full }

    private let source: any ByteSource
    private let capacityMax: Int
    private var storage: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    private(set) var isAtEnd = false

    init(_ source: any ByteSource, capacity: Int = 256 * 1024, capacityMax: Int) {
        self.source = source
        self.capacityMax = capacityMax
        storage = .allocate(byteCount: min(capacity, capacityMax), alignment: 16)
    }

    deinit {
        storage.deallocate()
    }

    /// The first byte; valid until the next ``refill()``.
    var base: UnsafePointer<UInt8> {
        // The storage is never empty, so it has an address.
        UnsafePointer((storage.baseAddress! + start).assumingMemoryBound(to: UInt8.self))
    }
    var count: Int { end - start }
    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base, count: count) }

    func consume(_ count: Int) {
        start += count
    }

    /// Reads more bytes, at least as many as the window holds. If the caller restarts a record after each refill, the
    /// total work is therefore at most twice the record's size.
    func refill() throws(InterchangeError) -> Refill {
        guard !isAtEnd else { return .ended }
        // Not empty, as above.
        let address = storage.baseAddress!
        if start > 0 {
            memoryMove(address, address + start, count)
            end -= start
            start = 0
        }
        if end == storage.count {
            guard storage.count < capacityMax else { return .full }
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: min(storage.count * 2, capacityMax),
                alignment: 16
            )
            larger.copyMemory(from: UnsafeRawBufferPointer(storage))
            storage.deallocate()
            storage = larger
        }
        let target = min(storage.count, end + max(1, end))
        while end < target {
            let read = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: storage[end...]))
            if read == 0 {
                isAtEnd = true
                return .ended
            }
            end += read
        }
        return .more
    }

    /// Drops all bytes read so far.
    func consumeAll() {
        start = end
    }

    /// Drops byte order marks (EF BB BF) from the front: concatenated files also have them at the start of a record.
    func skipMarks() throws(InterchangeError) {
        while true {
            if count == 0 {
                guard try refill() == .more else { return }
                continue
            }
            guard base[0] == 0xEF else { return }
            if count < 3, try refill() == .more { continue }
            guard count >= 3, base[1] == 0xBB, base[2] == 0xBF else { return }
            consume(3)
        }
    }

    private func memoryMove(_ to: UnsafeMutableRawPointer, _ from: UnsafeMutableRawPointer, _ count: Int) {
        to.copyMemory(from: from, byteCount: count)
    }
}

/// True if the bytes are UTF-8. One call for a whole record is faster than the standard library's check of each part.
func isUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var validator = UTF8Validator()
    validator.take(UnsafeRawBufferPointer(bytes))
    validator.finish()
    return validator.invalidCount == 0
}

/// The bytes as text; nil unless they are UTF-8.
func validText(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
    isUTF8(bytes) ? String(decoding: bytes, as: UTF8.self) : nil
}

/// A text compared by its bytes, for dictionary keys: Swift compares strings by canonical equivalence.
struct ByteKey: Hashable {
    let bytes: [UInt8]
    init(_ text: String) { bytes = Array(text.utf8) }
    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = Array(bytes) }
}
