package import Catalog
package import DeltaLog
package import Governance

/// A connection with a peer, numbered by the owner of the engine. A number is never used twice.
package struct LinkID: Hashable, Comparable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }

    package static func < (left: LinkID, right: LinkID) -> Bool { left.number < right.number }
}

/// A delta from a peer after its bytes were checked.
package enum ReceivedDelta: Hashable, Sendable {
    case verified(VerifiedDelta)
    /// The delta is held already according to ``Engine/holds(_:_:)``, so it was not checked.
    case known(log: LogID, sequence: UInt64)
    /// The delta breaks a rule. The log and sequence are given if they could be read.
    case refused(log: LogID?, sequence: UInt64, DeltaRefusal)
}

/// The way by which deltas came.
package enum DeltaArrival: Hashable, Sendable {
    /// In a Deltas message, whose frame had `byteCount` bytes: this node asked for them.
    case asked(byteCount: Int)
    /// In a Push message, `hops` hops from their author.
    case pushed(hops: UInt32)
}

/// A delta read for a peer: its exact bytes.
package struct StoredDelta: Hashable, Sendable {
    package let sequence: UInt64
    package let bytes: [UInt8]

    package init(sequence: UInt64, bytes: [UInt8]) {
        self.sequence = sequence
        self.bytes = bytes
    }
}

/// The outcome of storing a delta.
package enum StoreOutcome: Hashable, Sendable {
    case applied
    /// The delta was held already, or deltas before it are missing.
    case skipped
    case refused(DeltaRefusal)
}

/// A node with which this node had a session before it was started.
package struct KnownContact: Hashable, Sendable {
    package let node: NodeKey
    /// The time of the last contact, by any clock that orders contacts.
    package let time: UInt64
    /// The address that last answered; nil if none is known.
    package let address: String?

    package init(node: NodeKey, time: UInt64, address: String?) {
        self.node = node
        self.time = time
        self.address = address
    }
}

/// An event for an engine.
package enum EngineInput: Hashable, Sendable {
    /// A connection with a node whose key TLS has proven. `dialled` is true if this node opened it; `address` is then
    /// the address that answered.
    case linkUp(LinkID, node: NodeKey, dialled: Bool, address: String? = nil)
    case linkDown(LinkID)
    /// No address of the node answered in time; `reason` says why, for people.
    case dialFailed(NodeKey, reason: String = "")
    /// Wants a session with this node for a while, neighbour or not.
    case contact(NodeKey)
    case message(LinkID, PeerMessage)
    /// The checked deltas of a peer's Deltas or Push message, in its order.
    case deltas(LinkID, [ReceivedDelta], DeltaArrival)
    /// A peer's Deltas message that ``Engine/expectsDeltas(on:)`` rejects before any check, with the bytes of its
    /// frame.
    case unaskedDeltas(LinkID, byteCount: Int)
    /// A frame that holds no valid message.
    case malformed(LinkID, String)
    /// Own deltas that are now on disk.
    case committed([VerifiedDelta], summary: StoredSummary)
    /// The answer to ``EngineAction/store(token:_:from:)``, in the order of its deltas: they are on disk. `excess` is
    /// the work of storing them beyond the usual work for so many operations and bytes, in microseconds of a processor.
    case stored(token: UInt64, [StoreOutcome], summary: StoredSummary, excess: UInt64 = 0)
    /// The answer to ``EngineAction/read(_:link:bytesMax:)``; empty if nothing of the range is held.
    case deltasRead(LinkID, LogRange, [StoredDelta])
    /// The answer to ``EngineAction/readHeaders(_:purpose:)``.
    case headersRead(LogRange, purpose: HeaderPurpose, [SignedHeader])
    /// The answer to ``EngineAction/answerDiff(_:link:)``.
    indirect case diffAnswered(LinkID, PeerMessage.DiffAnswer)
    /// A question of this node to a peer.
    indirect case askDiff(LinkID, PeerMessage.DiffQuestion)
    /// Statements and announcements that this node made and has stored.
    case stated([Statement])
    indirect case announced(Announcement)
    /// The deadline of ``EngineAction/setTimer(_:)`` has come. One too early or too late does no harm.
    case timer
}

/// The directory after storing.
package struct StoredSummary: Hashable, Sendable {
    package var digest: CatalogDigest
    /// Visible records.
    package var records: UInt64

    package init(digest: CatalogDigest, records: UInt64) {
        self.digest = digest
        self.records = records
    }
}

/// The purpose of reading headers.
package enum HeaderPurpose: Hashable, Sendable {
    /// To answer a peer's question.
    case answer(LinkID)
    /// To compare them with a peer's headers.
    case compare(LinkID, with: [SignedHeader])
    /// To find the head before a fork.
    case cut
}

/// A request of an engine. The owner carries out actions in their order. Data that must be durable comes before the
/// message that promises it: an ack follows the ``EngineInput/stored(token:_:summary:)`` of the acknowledged deltas.
package enum EngineAction: Hashable, Sendable {
    case send(LinkID, PeerMessage)
    /// Close the connection. A refusal is sent to the peer first; nil means that the peer has refused the session.
    case disconnect(LinkID, SessionRefusal?)
    /// Connect to a node: the addresses are tried in their order, all within ``EngineSettings/dialDeadline``.
    case dial(NodeKey, addresses: [String])
    /// Read nothing more from the link until then. A new hold replaces the one before. Messages that were already read
    /// are still handed over.
    case hold(LinkID, until: Instant)
    /// Store and merge these deltas in order, and answer with ``EngineInput/stored(token:_:summary:excess:)``. All are
    /// for one organization. Deltas of one organization are stored in the order of their actions; those of different
    /// organizations are independent.
    case store(token: UInt64, [VerifiedDelta], from: LinkID)
    indirect case storeStatement(Statement, replaced: Hash256?)
    indirect case storeAnnouncement(Announcement)
    /// Read deltas from `range.from` on: about `bytesMax` at most, but at least one if it is held.
    case read(LogRange, link: LinkID, bytesMax: UInt64)
    case readHeaders(LogRange, purpose: HeaderPurpose)
    indirect case answerDiff(PeerMessage.DiffQuestion, link: LinkID)
    indirect case deliverDiff(LinkID, PeerMessage.DiffAnswer)
    /// The set of nodes that may connect has changed.
    indirect case rosterChanged(Roster)
    /// Count and show a delta that this node refused.
    indirect case noteRefusal(log: LogID?, sequence: UInt64, DeltaRefusal, from: NodeKey)
    /// Show a delta of this node that a peer refused.
    indirect case noteRefused(log: LogID, sequence: UInt64, code: UInt32, reason: String, by: NodeKey)
    /// An author has used up its budget for pushes: its deltas are only announced for a while.
    case noteOverBudget(NodeKey)
    /// A session with a peer is open; `program` is the peer's own text.
    case noteSession(NodeKey, program: String)
    /// A peer broke the protocol.
    case noteViolation(NodeKey, String)
    /// Wake the engine at that moment with ``EngineInput/timer``. It replaces the timer before.
    case setTimer(Instant)
}
