package import Catalog

/// Whether an operation within its log's bound counts. One that does not is stored, relayed and shown, but not merged.
package enum Standing: Hashable, Sendable {
    case counts
    /// It may count later.
    case pending(Dependency)
    /// It never counts while the rules and the facts that they judge by stay the same.
    case void(Reason)

    /// What an operation waits for. Its number on disk is that of no ``Reason``.
    package enum Dependency: UInt8, Hashable, Sendable {
        /// A program that knows the operation's kind.
        case newerProgram = 2
    }

    /// Why an operation is void. Its number on disk is that of no ``Dependency``.
    package enum Reason: UInt8, Hashable, Sendable {
        /// It is about a record of another organization.
        case notOwner = 1
    }

    /// The number by which storages keep it; nil for ``counts``, which is not kept.
    package var number: UInt8? {
        switch self {
        case .counts: nil
        case .pending(let dependency): dependency.rawValue
        case .void(let reason): reason.rawValue
        }
    }

    /// Nil for a number that means nothing.
    package init?(number: UInt8) {
        if let dependency = Dependency(rawValue: number) {
            self = .pending(dependency)
        } else if let reason = Reason(rawValue: number) {
            self = .void(reason)
        } else {
            return nil
        }
    }

    /// A few words for people.
    package var words: String {
        switch self {
        case .counts: "counts"
        case .pending(.newerProgram): "needs a newer node"
        case .void(.notOwner): "void: only the owner may write this record"
        }
    }
}

/// Judges operations: the rules by which they count, beside the bounds of logs.
package protocol Authority: Sendable {
    /// The standing of an operation. The answer depends on the arguments and the authority alone, never on the order in
    /// which operations came.
    ///
    /// - Parameter organization: The organization that the delta's header names.
    func standing(of dot: Dot, _ envelope: Envelope, by organization: OrganizationID) -> Standing
}

/// The rules of format 0: an operation counts if its kind is known and its author's organization owns the record.
package struct OwnerAuthority: Authority {
    package init() {}

    package func standing(of dot: Dot, _ envelope: Envelope, by organization: OrganizationID) -> Standing {
        if case .unknown = envelope.kind { return .pending(.newerProgram) }
        return envelope.owner ?? organization == organization ? .counts : .void(.notOwner)
    }
}
