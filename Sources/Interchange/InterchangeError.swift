/// Why a whole file could not be read, mapped or written; what is wrong with one row only is a ``Reject``.
package struct InterchangeError: Error, Equatable, CustomStringConvertible {
    /// The reason, for callers that switch over it; a struct, so that it can grow.
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
        /// The bytes are in no encoding that Hansa knows, in one that is in doubt, or the encoding given is not available.
        package static let badEncoding = Code(.badEncoding)
        /// The header of a CSV file cannot be used: doubled, empty or unreadable names.
        package static let badHeader = Code(.badHeader)
        /// A `FIELD=COLUMN` pair, or all of them together, make no sense for this file.
        package static let badMapping = Code(.badMapping)
        /// The file has no column of the key's name.
        package static let keyMissing = Code(.keyMissing)
        /// The file is not of the format it was read as, in a way that leaves no rows to go on with.
        package static let badFile = Code(.badFile)
        /// A file that is needed meanwhile cannot be written or read.
        package static let noRoom = Code(.noRoom)
        /// Nobody wants the rest of the file any more (``InputFile/isCancelled``).
        package static let cancelled = Code(.cancelled)

        package var description: String { wrapped.rawValue }
    }

    /// The reason, for programs.
    package let code: Code
    /// The reason and the remedy, for people: one line.
    package let message: String
    /// Further lines, such as a line of the file in several encodings.
    package let details: [String]
    /// The physical line it concerns, from 1; nil where there is none.
    package let line: Int?
    /// The byte column in that line, from 1; nil where there is none.
    package let column: Int?

    package init(_ code: Code, _ message: String, line: Int? = nil, column: Int? = nil, details: [String] = []) {
        self.code = code
        self.message = message
        self.details = details
        self.line = line
        self.column = column
    }

    /// `line:column: message`, without the place where there is none.
    package var description: String {
        [line.map { "\($0):" }, column.map { "\($0):" }].compactMap(\.self).joined() + (line == nil ? "" : " ")
            + message
    }

    /// Equal codes; the texts are for people.
    package static func == (left: InterchangeError, right: InterchangeError) -> Bool { left.code == right.code }
}
