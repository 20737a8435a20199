import Interchange
import Store

/// What a command's outcome tells scripts. The numbers are stable.
package enum ErrorCode: Int32, Codable, Hashable, Sendable {
    case done = 0
    /// Data was rejected, wholly or in part, or a record was not found.
    case rejected = 1
    case usage = 2
    /// The node or a peer cannot be reached.
    case unreachable = 3
    /// Not allowed: another organization's record, a used invitation, a limit.
    case refused = 4
    case `internal` = 5
    /// The disk is full or the folder cannot be written.
    case disk = 6
    /// The folder's data is damaged.
    case corrupt = 7
    /// A port or the data folder is in use.
    case inUse = 8
    /// Wrong passphrase, or a key that does not fit.
    case passphrase = 9
    /// The answer is that something differs or is pending.
    case differs = 10
}

/// An error as its user meets it: a code for scripts, and a sentence that names the place and the mend.
package struct HansaError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    package let code: ErrorCode
    /// One line. Names and texts of others may stand in it as they are: the program's console escapes it.
    package let message: String
    /// Further lines, such as the candidates of a name with several meanings.
    package let details: [String]

    package init(_ code: ErrorCode, _ message: String, details: [String] = []) {
        self.code = code
        self.message = message
        self.details = details
    }

    private enum CodingKeys: String, CodingKey {
        case code, message, details
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        code = try container.decode(ErrorCode.self, forKey: .code)
        message = try container.decode(String.self, forKey: .message)
        details = try container.decodeIfPresent([String].self, forKey: .details) ?? []
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(code, forKey: .code)
        try container.encode(message, forKey: .message)
        if !details.isEmpty { try container.encode(details, forKey: .details) }
    }

    package var description: String { message }

    /// Equal codes; messages are for people.
    package static func == (left: HansaError, right: HansaError) -> Bool { left.code == right.code }
    package func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension HansaError {
    /// Any error as its user meets it; one that is none of ours is a fault of this program.
    package init(cause: any Error) {
        switch cause {
        case let error as HansaError: self = error
        case let error as StoreError: self.init(storeError: error)
        case let error as InterchangeError: self.init(interchangeError: error)
        case let error as any HansaErrorConvertible: self = error.hansaError
        default: self.init(.internal, "an error that should not be: \(cause)")
        }
    }

    init(storeError error: StoreError) {
        let code: ErrorCode =
            switch error.code {
            case .diskFull, .readOnly, .inputOutput: .disk
            case .corrupt, .olderFormat, .newerFormat: .corrupt
            case .notADataFolder: .usage
            case .alreadyExists, .locked, .rebuilding: .inUse
            default: .internal
            }
        self.init(code, error.message)
    }

    init(interchangeError error: InterchangeError) {
        let code: ErrorCode =
            switch error.code {
            case .cannotRead, .badMapping, .keyMissing: .usage
            case .noRoom: .disk
            default: .rejected
            }
        self.init(code, error.description, details: error.details)
    }
}

/// An error of a part that this one does not know, which says how its user meets it.
package protocol HansaErrorConvertible: Error {
    var hansaError: HansaError { get }
}
