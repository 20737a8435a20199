/// The reason why a whole file could not be read, mapped or written. A fault of a single row is a ``Reject``.
package struct InterchangeError: Error, Equatable, CustomStringConvertible {
    /// The reason, for callers that switch over it. It is a struct so that codes can be added.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Wrapped: String {
            case cannotRead, badGzip, badEncoding, badHeader, badMapping, keyMissing, badFile, noRoom, cancelled
        }
        private let wrapped: Wrapped
        private init(_ wrapped: Wrapped) { self.wrapped = wrapped }

        /// The file could not be opened or read; the message holds the system's reason.
        package static let cannotRead = Code(.cannotRead)
        /// The gzip stream is cut short or damaged.
        package static let badGzip = Code(.badGzip)
        /// The bytes fit no supported encoding, the encoding is ambiguous, or the system cannot convert the given
        /// encoding.
        package static let badEncoding = Code(.badEncoding)
        /// The header of a CSV file is unusable: its names are duplicated, empty or unreadable.
        package static let badHeader = Code(.badHeader)
        /// A `FIELD=COLUMN` pair, or the set of pairs, does not fit this file.
        package static let badMapping = Code(.badMapping)
        /// The file has no column of the key's name.
        package static let keyMissing = Code(.keyMissing)
        /// The file is not in the format that was given, and no row can be read after the fault.
        package static let badFile = Code(.badFile)
        /// A temporary file that the import needs cannot be written or read.
        package static let noRoom = Code(.noRoom)
        /// The caller no longer wants the rest of the file (``InputFile/isCancelled``).
        package static let cancelled = Code(.cancelled)

        package var description: String { wrapped.rawValue }
    }

    /// The reason, for programs.
    package let code: Code
    /// The reason and the remedy for people, on one line.
    package let message: String
    /// Further lines, such as a line of the file in several encodings.
    package let details: [String]
    /// The physical line concerned, from 1; nil if there is none.
    package let line: Int?
    /// The byte column in that line, from 1; nil if there is none.
    package let column: Int?

    package init(_ code: Code, _ message: String, line: Int? = nil, column: Int? = nil, details: [String] = []) {
        self.code = code
        self.message = message
        self.details = details
        self.line = line
        self.column = column
    }

    /// `line:column: message`; without a line and column if there are none.
    package var description: String {
        [line.map { "\($0):" }, column.map { "\($0):" }].compactMap(\.self).joined() + (line == nil ? "" : " ")
            + message
    }

    /// Compares the codes only; the texts are for people.
    package static func == (left: InterchangeError, right: InterchangeError) -> Bool { left.code == right.code }
}
