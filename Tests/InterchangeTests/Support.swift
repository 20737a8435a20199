import Catalog
import Interchange
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Vigna's SplitMix64: a seed gives the same numbers everywhere.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    /// The list must not be empty.
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

/// The folder of the real data sets; nil if it is not set.
let testData: String? = getenv("HANSA_TEST_DATA").map { String(cString: $0) }

func options(kind: String? = "resource", key: String = "id", _ pairs: [String] = []) throws -> ImportOptions {
    ImportOptions(kind: kind, map: try ColumnMap(keyColumn: key, written: pairs))
}

func events(
    _ bytes: [UInt8],
    _ format: SourceFormat = .csv,
    _ options: ImportOptions,
    portion: Int = .max,
    windowBytes: Int = 256 * 1024
) throws -> [SourceEvent] {
    let source = MemorySource(bytes, portionBytesMax: portion)
    let reader = try SourceReader(source, name: "f", format: format, options: options, windowBytes: windowBytes)
    var events: [SourceEvent] = []
    while let event = try reader.next() { events.append(event) }
    #expect(try reader.next() == nil)
    return events
}

func events(
    _ text: String,
    _ format: SourceFormat = .csv,
    _ options: ImportOptions
) throws -> [SourceEvent] {
    try events(Array(text.utf8), format, options)
}

extension SourceEvent {
    var row: SourceRow? { if case .row(let row) = self { row } else { nil } }
    var reject: Reject? { if case .reject(let reject) = self { reject } else { nil } }
}

extension SourceRow {
    subscript(_ path: String) -> FieldInput? {
        fields.first { $0.path == FieldPath(unchecked: path) }?.input
    }
}

func text(_ text: String) -> FieldInput { .value(.text(text)) }
func texts(_ texts: String...) -> FieldInput { .elements(texts.map { .text($0) }) }

/// A file that is removed with this object.
final class TemporaryFile {
    let path: String

    init(_ bytes: [UInt8], suffix: String = "") throws {
        var template = Array("/tmp/hansa-test-XXXXXX\(suffix)".utf8CString)
        let descriptor = mkstemps(&template, CInt(suffix.utf8.count))
        try #require(descriptor >= 0)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var written = 0
        while written < bytes.count {
            let step = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            try #require(step > 0)
            written += step
        }
        close(descriptor)
    }

    deinit { unlink(path) }
}

func contents(_ source: any ByteSource, portion: Int = 4096) throws(InterchangeError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: portion, alignment: 1)
    defer { buffer.deallocate() }
    var bytes: [UInt8] = []
    while true {
        let count = try source.read(into: buffer)
        if count == 0 { return bytes }
        bytes += buffer[..<count]
    }
}
