package import Catalog
package import Interchange
import OpenSSLKit

/// External rows of records. An import reads them twice: first to check all of them, then to write the differences.
///
/// One task at a time uses it. ``TableSource`` reads tables; other forms of records can be further sources.
package protocol RecordSource: AnyObject {
    /// The source's name in messages.
    var name: String { get }
    /// The total number of bytes.
    var byteCount: Int { get }
    /// Bytes read in the present pass.
    var bytesRead: Int { get }
    /// Rows without content that the present pass has skipped.
    var blankCount: Int { get }
    /// Rows that the present pass has read, including rejected ones.
    var rowCount: Int { get }
    /// The encoding of the source's text; nil before ``begin()``, and for sources with a fixed encoding.
    var encoding: (name: String, knownBy: String)? { get }
    /// SHA-256 of all its bytes; known after the first ``begin()``.
    var fingerprint: Hash256 { get }
    /// True if the source has changed since it was opened.
    var hasChanged: Bool { get }

    /// Begins the first or the second pass.
    ///
    /// - Throws: `InterchangeError` or ``Failure`` if the source is unreadable.
    func begin() throws
    /// The next row of the pass, or the reason of its rejection; nil at the end.
    ///
    /// - Throws: `InterchangeError` if the rest is unreadable or reading was cancelled.
    func next() throws -> SourceEvent?
}

/// A file of CSV, TSV or JSON lines, in any known encoding, gzip or not.
package final class TableSource: RecordSource {
    package var name: String { input.name }
    package var byteCount: Int { input.byteCount }
    package var bytesRead: Int { input.bytesRead }
    package var blankCount: Int { reader?.blankCount ?? 0 }
    package var rowCount: Int { reader?.recordCount ?? 0 }
    package var encoding: (name: String, knownBy: String)? {
        survey.map { ($0.encoding.rawValue, $0.origin.rawValue) }
    }
    package private(set) var fingerprint = Hash256.zero
    package var hasChanged: Bool { input.hasChanged }

    private let input: InputFile
    private let format: SourceFormat
    private let options: ImportOptions
    private let wanted: TextEncoding?
    private var survey: InputSurvey?
    private var reader: SourceReader?

    /// Opens a table.
    ///
    /// - Parameters:
    ///   - format: Nil to determine it from the name, else from the first bytes.
    ///   - encoding: Nil to detect it.
    ///   - isCancelled: Asked before each read.
    /// - Throws: ``Failure`` with ``Reason/unknownFormat`` or ``Reason/fileUnreadable``.
    package init(
        _ file: ReadableFile,
        format: SourceFormat?,
        encoding: TextEncoding?,
        options: ImportOptions,
        isCancelled: @escaping () -> Bool
    ) throws {
        input = try file.input()
        input.isCancelled = isCancelled
        wanted = encoding
        self.options = options
        guard let format = try format ?? SourceFormat(path: file.name) ?? Self.format(bytesOf: input) else {
            throw Failure(
                .unknownFormat,
                "the format of \(file.name) cannot be told from its name or its first bytes",
                fix: .nameFormat
            )
        }
        self.format = format
    }

    /// JSON if the first character tells so; else nil.
    private static func format(bytesOf input: InputFile) throws -> SourceFormat? {
        try Replica.translatingInterchange {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
            defer { buffer.deallocate() }
            let count = try input.read(into: buffer)
            try input.rewind()
            let blanks: [UInt8] = [0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF]
            switch buffer[..<count].first(where: { !blanks.contains($0) }) {
            case UInt8(ascii: "{"), UInt8(ascii: "["): return .jsonLines
            case nil: return nil
            default: return .csv
            }
        }
    }

    package func begin() throws {
        if let survey {
            // The new reader takes over the key data of the first pass's reader.
            reader = try SourceReader(file: input, survey: survey, format: format, options: options, after: reader)
            return
        }
        let hasher = SHA256Stream()
        input.onRawBytes = { hasher.update($0) }
        let survey = try input.survey(encoding: wanted)
        fingerprint = hasher.finalized()
        self.survey = survey
        reader = try SourceReader(file: input, survey: survey, format: format, options: options)
    }

    package func next() throws -> SourceEvent? { try reader?.next() }
}

/// The SHA-256 of added bytes.
private final class SHA256Stream {
    private var hasher = SHA256Hasher()
    func update(_ bytes: UnsafeRawBufferPointer) { hasher.update(bytes) }
    // A SHA-256 has 32 bytes.
    func finalized() -> Hash256 { Hash256(hasher.finalized())! }
}
