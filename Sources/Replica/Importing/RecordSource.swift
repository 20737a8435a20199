package import Catalog
package import Interchange
import OpenSSLKit

/// Rows of records from outside, which an import reads twice: to check all of them, and then to write what differs.
///
/// One task drives it. Present sources are tables (``TableSource``); records in another form are one more source.
package protocol RecordSource: AnyObject {
    /// The source's name in messages.
    var name: String { get }
    /// Bytes in all.
    var byteCount: Int { get }
    /// Bytes read in the present pass.
    var bytesRead: Int { get }
    /// Rows that the present pass has skipped since they have no content.
    var blankCount: Int { get }
    /// Rows that the present pass has come to, rejected ones included.
    var rowCount: Int { get }
    /// The encoding of the source's text; nil before ``begin()``, and for sources that have but one encoding.
    var encoding: (name: String, knownBy: String)? { get }
    /// SHA-256 of all its bytes; known after the first ``begin()``.
    var fingerprint: Hash256 { get }
    /// True if the source has changed since it was opened.
    var hasChanged: Bool { get }

    /// Begins a pass: the first, and then the second.
    ///
    /// - Throws: `InterchangeError` or ``Failure`` for what makes the source unreadable.
    func begin() throws
    /// The next row of the pass, or why it is rejected; nil at the end.
    ///
    /// - Throws: `InterchangeError` for what makes the rest unreadable, also where reading was cancelled.
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
    ///   - format: Nil to take it from the name, or else from the first bytes.
    ///   - encoding: Nil to find it out.
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

    /// JSON by its first character; nil where that does not tell.
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
            // The first pass's reader gives away what it knows of the keys.
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

/// SHA-256 of the bytes that it is given.
private final class SHA256Stream {
    private var hasher = SHA256Hasher()
    func update(_ bytes: UnsafeRawBufferPointer) { hasher.update(bytes) }
    // A SHA-256 has 32 bytes.
    func finalized() -> Hash256 { Hash256(hasher.finalized())! }
}
