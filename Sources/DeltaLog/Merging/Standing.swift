package import Catalog

/// Whether an operation within its log's bound counts. Nodes store, relay and show one that does not count, but never
/// merge it.
package enum Standing: Hashable, Sendable {
    case counts
    /// The operation does not count yet.
    case pending(Dependency)
    /// The operation does not count as long as the rules, and the facts that they use, stay the same.
    case void(Reason)

    /// A condition for a pending operation to count. No ``Reason`` has the same number on disk.
    package enum Dependency: UInt8, Hashable, Sendable {
        /// A program that knows the operation's kind.
        case newerProgram = 2
    }

    /// The reason why an operation is void. No ``Dependency`` has the same number on disk.
    package enum Reason: UInt8, Hashable, Sendable {
        /// Another organization owns the record.
        case notOwner = 1
    }

    /// The number under which storages keep this standing; nil for ``counts``, which they do not keep.
    package var number: UInt8? {
        switch self {
        case .counts: nil
        case .pending(let dependency): dependency.rawValue
        case .void(let reason): reason.rawValue
        }
    }

    /// Nil for an unknown number.
    package init?(number: UInt8) {
        if let dependency = Dependency(rawValue: number) {
            self = .pending(dependency)
        } else if let reason = Reason(rawValue: number) {
            self = .void(reason)
        } else {
            return nil
        }
    }

    /// A short text for the user.
    package var words: String {
        switch self {
        case .counts: "counts"
        case .pending(.newerProgram): "needs a newer node"
        case .void(.notOwner): "void: only the owner may write this record"
        }
    }
}

/// Decides which operations count within the bounds of their logs.
package protocol Authority: Sendable {
    /// The standing of an operation. The result depends only on the arguments and on the authority, never on the order
    /// of arrival.
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
