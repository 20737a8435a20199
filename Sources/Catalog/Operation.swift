/// Names a write of another operation by its dot, and proves by the first bytes of that operation's hash that the
/// citing author has seen it.
package struct Citation: Hashable, Sendable {
    /// The cited operation.
    package let dot: Dot
    /// The first 8 bytes of the cited operation's hash. A citation counts only against an operation with that hash.
    package let prefix: UInt64
    /// The cited write's number; nil means every write of the same field in that operation.
    package let number: UInt32?

    package init(dot: Dot, prefix: UInt64, number: UInt32?) {
        self.dot = dot
        self.prefix = prefix
        self.number = number
    }
}

/// One write of an operation. Its number is its position in the envelope.
package struct Write: Hashable, Sendable {
    /// What a write does beside superseding.
    package enum Mode: UInt8, Sendable {
        /// Gives a multi-value register a new value.
        case set = 0
        /// Adds an element to an add-wins set.
        case add = 1
        /// Nothing: such a write is never live.
        case remove = 2
    }

    package let field: FieldPath
    package let mode: Mode
    package let supersedes: [Citation]

    package init(field: FieldPath, mode: Mode, supersedes: [Citation] = []) {
        self.field = field
        self.mode = mode
        self.supersedes = supersedes
    }

    /// True if the operation's content holds a value for it: it sets or adds, and is no deletion's mark.
    package var hasValue: Bool { mode != .remove && field != .mark }
}

/// What an operation does, without its values: the part that stays when the content is dropped.
package struct Envelope: Hashable, Sendable {
    /// What kind of operation it is.
    package enum Kind: Hashable, Sendable {
        case ordinary
        /// Supersedes whole operations, and leaves a mark.
        case deletion
        /// A number that this version does not know: kept, relayed, not merged.
        case unknown(UInt64)
    }

    package let key: RecordKey
    /// The record's owner, where that is not the author's organization.
    package let owner: OrganizationID?
    package let kind: Kind
    package let writes: [Write]

    package init(key: RecordKey, owner: OrganizationID? = nil, kind: Kind, writes: [Write]) {
        self.key = key
        self.owner = owner
        self.kind = kind
        self.writes = writes
    }
}

extension OperationDraft {
    /// The same draft, with the writes of another one in memory where it writes just the same: what depends on the writes
    /// alone is then found once for both.
    package func sharingWrites(of other: OperationDraft?) -> OperationDraft {
        guard let other, envelope.writes == other.envelope.writes else { return self }
        return OperationDraft(
            envelope: Envelope(
                key: envelope.key,
                owner: envelope.owner,
                kind: envelope.kind,
                writes: other.envelope.writes
            ),
            values: values
        )
    }
}

/// The values of an operation: the part that can be dropped, and truly erased.
package struct Content: Hashable, Sendable {
    /// 16 random bytes, so that erased values cannot be guessed from their hash.
    package let salt: [UInt8]
    /// A value for each write that has one (see ``Write/hasValue``), in their order.
    package let values: [Value]

    package static let saltByteCount = 16

    package init(salt: [UInt8], values: [Value]) {
        self.salt = salt
        self.values = values
    }
}

/// An operation that its author has yet to encode, hash and sign.
package struct OperationDraft: Hashable, Sendable {
    package let envelope: Envelope
    /// A value for each write that has one (see ``Write/hasValue``), in their order.
    package let values: [Value]

    package init(envelope: Envelope, values: [Value]) {
        self.envelope = envelope
        self.values = values
    }
}
