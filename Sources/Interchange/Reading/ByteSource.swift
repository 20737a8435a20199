/// Where bytes come from, a portion at a time.
package protocol ByteSource: AnyObject {
    /// Fills the front of `target` and returns how many bytes it wrote, at least one; 0 means the end. `target` is
    /// not empty. Throws what makes the rest unreadable.
    func read(into target: UnsafeMutableRawBufferPointer) throws(InterchangeError) -> Int
}

/// Bytes in memory, given out in portions of a chosen size.
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

/// A window that slides over a source: the bytes from the start of the current record to what has been read so far.
///
/// Grows by doubling when a record does not fit, up to a bound; this is what keeps memory bounded.
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

    /// Reads more, at least as much again as there is, so that starting a record anew after each refill costs twice
    /// its size in all.
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

    /// Drops everything read so far.
    func consumeAll() {
        start = end
    }

    /// Drops byte order marks (EF BB BF) from the front: files that were joined have them at the start of a record too.
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

/// True if the bytes are UTF-8. Faster for a whole record than the library's check for each of its parts.
func isUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var validator = UTF8Validator()
    validator.take(UnsafeRawBufferPointer(bytes))
    validator.finish()
    return validator.invalidCount == 0
}

/// Text of the bytes; nil unless they are UTF-8.
func validText(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
    isUTF8(bytes) ? String(decoding: bytes, as: UTF8.self) : nil
}

/// Text with its bytes as identity, for keys of dictionaries: Swift's own comparison is by canonical equivalence.
struct ByteKey: Hashable {
    let bytes: [UInt8]
    init(_ text: String) { bytes = Array(text.utf8) }
    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = Array(bytes) }
}
