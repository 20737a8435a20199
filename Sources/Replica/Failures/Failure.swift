import Foundation
import Interchange
import Store

/// A failure as data. Each front end words the fix in its own way.
package struct Failure: Error, Hashable, Codable, Sendable, CustomStringConvertible {
    /// One of several things that a name may mean.
    package struct Candidate: Hashable, Codable, Sendable {
        /// The whole id, in hexadecimal digits; of a kind or a field, its name.
        package let id: String
        /// The name to show; nil if none is known.
        package let name: String?
        /// True for a record that is deleted.
        package let deleted: Bool

        package init(id: String, name: String?, deleted: Bool = false) {
            self.id = id
            self.name = name
            self.deleted = deleted
        }

        private enum CodingKeys: String, CodingKey {
            case id, name, deleted
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(id, forKey: .id)
            try container.encode(name, forKey: .name)
            try container.encode(deleted, forKey: .deleted)
        }
    }

    /// The kind of failure, for programs.
    package let reason: Reason
    /// One line of English that names what failed and where. It may contain foreign names and texts without escaping.
    package let message: String
    /// The things that an ambiguous or unknown name may mean. Long lists are cut; ``details`` then says so.
    package let candidates: [Candidate]
    /// Further lines of English, such as a line of a file in several encodings.
    package let details: [String]
    /// The remedy for the user; nil if the message says enough.
    package let fix: Fix?

    package init(
        _ reason: Reason,
        _ message: String,
        candidates: [Candidate] = [],
        details: [String] = [],
        fix: Fix? = nil
    ) {
        self.reason = reason
        self.message = message
        self.candidates = candidates
        self.details = details
        self.fix = fix
    }

    private enum CodingKeys: String, CodingKey {
        case reason, message, candidates, details, fix
    }

    /// Reads a failure. A fix that this program does not know, from a newer node, becomes nil.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        reason = try container.decode(Reason.self, forKey: .reason)
        message = try container.decode(String.self, forKey: .message)
        candidates = try container.decode([Candidate].self, forKey: .candidates)
        details = try container.decode([String].self, forKey: .details)
        fix = try? container.decodeIfPresent(Fix.self, forKey: .fix)
    }

    /// Writes every key; null or an empty list for absent values.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(reason, forKey: .reason)
        try container.encode(message, forKey: .message)
        try container.encode(candidates, forKey: .candidates)
        try container.encode(details, forKey: .details)
        try container.encode(fix, forKey: .fix)
    }

    /// The message.
    package var description: String { message }
}

/// An error of another module that can be shown as a failure.
package protocol FailureConvertible: Error {
    /// The failure that users and programs see.
    var failure: Failure { get }
}

extension Failure {
    /// Turns any error into a failure. An unknown one is a fault of this program.
    package init(cause: any Error) {
        switch cause {
        case let error as Failure: self = error
        case let error as StoreError: self.init(storeError: error)
        case let error as InterchangeError: self.init(interchangeError: error)
        case let error as any FailureConvertible: self = error.failure
        default: self.init(.internal, "unexpected error: \(cause)")
        }
    }

    init(storeError error: StoreError) {
        let (reason, fix): (Reason, Fix?) =
            switch error.code {
            case .diskFull: (.diskFull, nil)
            case .readOnly: (.diskRefused, nil)
            case .inputOutput: (.diskFailed, nil)
            case .corrupt: (.dataDamaged, error.repair.map { $0 == .rebuild ? .rebuild : .verify })
            case .olderFormat: (.olderFormat, .joinAgain)
            case .newerFormat: (.newerFormat, nil)
            case .notADataFolder: (.notADataFolder, .nameDataFolder)
            case .alreadyExists: (.nodeHereAlready, .nameAnotherFolder)
            case .locked: (.databaseLocked, nil)
            case .rebuilding: (.rebuildPending, .finishRebuild)
            case .projectionRebuilding: (.rebuildPending, nil)
            default: (.internal, nil)
            }
        self.init(reason, error.message, fix: fix)
    }

    init(interchangeError error: InterchangeError) {
        let (reason, fix): (Reason, Fix?) =
            switch error.code {
            case .cannotRead: (.fileUnreadable, nil)
            case .badMapping: (.badMapping, nil)
            case .keyMissing: (.noKeyColumn, nil)
            case .noRoom: (.noRoom, nil)
            case .badGzip: (.badGzip, nil)
            case .badEncoding: (.badEncoding, error.details.isEmpty ? nil : .nameEncoding)
            case .badHeader: (.badHeader, nil)
            case .badFile: (.badFile, nil)
            case .cancelled: (.cancelled, nil)
            // Add a line above for every new code.
            default: (.internal, nil)
            }
        self.init(reason, error.description, details: error.details, fix: fix)
    }

    /// A refusal of the operating system.
    ///
    /// - Parameters:
    ///   - what: The beginning of the message, such as "cannot write FILE".
    ///   - number: The system's `errno`.
    package init(system what: String, _ number: Int32 = errno) {
        let reason: Reason =
            switch number {
            case ENOSPC, EDQUOT: .diskFull
            case EIO: .diskFailed
            default: .diskRefused
            }
        self.init(reason, "\(what): \(String(cString: strerror(number)))")
    }
}
