/// Names a write of another operation by its dot. The prefix of that operation's hash proves that the citing author has
/// seen it.
package struct Citation: Hashable, Sendable {
    /// The cited operation.
    package let dot: Dot
    /// The first 8 bytes of the cited operation's hash. The citation applies only to an operation with this hash.
    package let prefix: UInt64
    /// The cited write's number; nil cites every write of the same field in that operation.
    package let number: UInt32?

    package init(dot: Dot, prefix: UInt64, number: UInt32?) {
        self.dot = dot
        self.prefix = prefix
        self.number = number
    }
}

/// One write of an operation. Its number is its index in the envelope.
package struct Write: Hashable, Sendable {
    /// The effect of a write in addition to superseding.
    package enum Mode: UInt8, Sendable {
        /// Gives a multi-value register a new value.
        case set = 0
        /// Adds an element to an add-wins set.
        case add = 1
        /// No further effect: such a write is never live.
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

    /// True if the operation's content holds a value for this write: it sets or adds, and is not a tombstone.
    package var hasValue: Bool { mode != .remove && field != .tombstone }
}

/// The effect of an operation without its values: this part remains after the content is dropped.
package struct Envelope: Hashable, Sendable {
    /// The kind of an operation.
    package enum Kind: Hashable, Sendable {
        case ordinary
        /// Supersedes whole operations and leaves a tombstone.
        case deletion
        /// A number that this version does not know. Nodes keep and relay such operations but do not merge them.
        case unknown(UInt64)
    }

    package let key: RecordKey
    /// The record's owner; nil if that is the author's organization.
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
    /// This draft with the array of writes of another one, if the two write the same.
    ///
    /// Results that depend only on the writes are then computed once for both.
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

/// The values of an operation: this part can be dropped and erased completely.
package struct Content: Hashable, Sendable {
    /// 16 random bytes; they prevent guessing erased values from their hash.
    package let salt: [UInt8]
    /// One value for each write that has one (see ``Write/hasValue``), in the order of the writes.
    package let values: [Value]

    package static let saltByteCount = 16

    package init(salt: [UInt8], values: [Value]) {
        self.salt = salt
        self.values = values
    }
}

/// An operation before encoding, hashing and signing.
package struct OperationDraft: Hashable, Sendable {
    package let envelope: Envelope
    /// One value for each write that has one (see ``Write/hasValue``), in the order of the writes.
    package let values: [Value]

    package init(envelope: Envelope, values: [Value]) {
        self.envelope = envelope
        self.values = values
    }
}
