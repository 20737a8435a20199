package import Catalog
package import DeltaLog

/// A summary of a node's durable data.
package struct StateSummary: Hashable, Sendable {
    /// Fingerprint of the frontier.
    package var frontier: Hash256
    package var digest: CatalogDigest
    /// The number of visible records.
    package var records: UInt64
    /// The node's wall clock, Unix milliseconds.
    package var wallMilliseconds: UInt64

    package init(frontier: Hash256, digest: CatalogDigest, records: UInt64, wallMilliseconds: UInt64) {
        self.frontier = frontier
        self.digest = digest
        self.records = records
        self.wallMilliseconds = wallMilliseconds
    }
}

/// A log with its head.
package struct LogHead: Hashable, Sendable {
    package let log: LogID
    package let head: Head

    package init(log: LogID, head: Head) {
        self.log = log
        self.head = head
    }
}

/// A head whose delta the receiver should get from another neighbour, with the links that a push of it would have
/// passed.
package struct HopHead: Hashable, Sendable {
    package let head: LogHead
    package let hops: UInt32

    package init(head: LogHead, hops: UInt32) {
        self.head = head
        self.hops = hops
    }
}

/// A range of a log, both ends included.
package struct LogRange: Hashable, Sendable {
    package let log: LogID
    package let from: UInt64
    package let to: UInt64

    package init(log: LogID, from: UInt64, to: UInt64) {
        self.log = log
        self.from = from
        self.to = to
    }
}

/// A header with its signature, as bytes.
package struct SignedHeader: Hashable, Sendable {
    package let header: [UInt8]
    package let signature: [UInt8]

    package init(header: [UInt8], signature: [UInt8]) {
        self.header = header
        self.signature = signature
    }
}

/// The reason for which a session ends: a number and a sentence.
package struct SessionRefusal: Hashable, Sendable {
    package let code: UInt32
    package let reason: String

    package init(code: UInt32, reason: String) {
        self.code = code
        self.reason = reason
    }

    /// True if the session ends because it is not needed: this is not a fault.
    package var isOrderly: Bool { code == Self.duplicate.code || code == Self.idle.code }

    package static let foreignAlliance = SessionRefusal(code: 1, reason: "this node belongs to another alliance")
    package static func format(min: UInt32, max: UInt32) -> SessionRefusal {
        SessionRefusal(
            code: 2,
            reason: "no common format: this node speaks \(formatVersion), the other \(min) to \(max); "
                + (min > formatVersion ? "this node needs a newer version" : "the other node needs a newer version")
        )
    }
    package static let notAMember = SessionRefusal(code: 3, reason: "the node is not enrolled in this alliance")
    package static func violation(_ what: String) -> SessionRefusal {
        SessionRefusal(code: 4, reason: "breaks the protocol: \(what)")
    }
    package static let duplicate = SessionRefusal(code: 5, reason: "another connection with this node is kept")
    package static let silent = SessionRefusal(code: 6, reason: "no message in time")
    package static let tooManyRefusals = SessionRefusal(code: 7, reason: "too many refused deltas")
    package static let tooManySessions = SessionRefusal(
        code: 9,
        reason: "the node's organization has as many sessions here as it may; try again later"
    )
    package static let idle = SessionRefusal(code: 10, reason: "nothing more to say; no neighbour")
    package static let banned = SessionRefusal(
        code: 8,
        reason: "the node broke the protocol a short while ago; it may try again later"
    )
}

/// A decoded message between two nodes. Deltas are bytes here: they are checked before the engine sees them.
package enum PeerMessage: Hashable, Sendable {
    indirect case hello(Hello)
    case refusal(SessionRefusal)
    case governance(known: [Hash256], statements: [[UInt8]], answer: Bool)
    case announcements([[UInt8]])
    /// Compares frontiers; without ranges if nothing differs.
    case ranges([FrontierRange])
    case want(LogRange, credit: UInt64)
    case deltas([[UInt8]])
    case ack(LogHead, credit: UInt64)
    case have([LogHead])
    /// `question` is not 0 if the sender asks for the receiver's state. `answered` is the question that this answers,
    /// or 0.
    indirect case state(StateSummary, question: UInt64, answered: UInt64)
    indirect case deltaRefused(log: LogID, sequence: UInt64, code: UInt32, reason: String)
    case headersWanted(LogRange)
    case headers(log: LogID, from: UInt64, [SignedHeader])
    indirect case diffQuestion(DiffQuestion)
    indirect case diffAnswer(DiffAnswer)
    // Overlay.
    case neighbour(isUrgent: Bool)
    case neighbourAnswer(isAccepted: Bool)
    case leave
    case shuffle(token: UInt64, hops: UInt32, nodes: [NodeKey])
    case shuffleReply(token: UInt64, nodes: [NodeKey])
    // Broadcast.
    /// New deltas, with the number of links passed since their author.
    case push([[UInt8]], hops: UInt32)
    case iHave([HopHead])
    /// Makes the link an edge of the tree, and asks for the missing range; nil if only the edge is wanted.
    case graft(LogRange?, credit: UInt64)
    case prune

    package struct Hello: Hashable, Sendable {
        package var alliance: AllianceID
        package var formatMin: UInt32
        package var formatMax: UInt32
        /// Name and version of the program, for people.
        package var program: String
        package var governance: Hash256
        package var announcements: Hash256
        package var state: StateSummary

        package init(
            alliance: AllianceID,
            formatMin: UInt32 = formatVersion,
            formatMax: UInt32 = formatVersion,
            program: String,
            governance: Hash256,
            announcements: Hash256,
            state: StateSummary
        ) {
            self.alliance = alliance
            self.formatMin = formatMin
            self.formatMax = formatMax
            self.program = program
            self.governance = governance
            self.announcements = announcements
            self.state = state
        }
    }

    package enum DiffQuestion: Hashable, Sendable {
        /// The sums of the 256 buckets.
        case sums(token: UInt64)
        /// Records of one bucket with ids greater than `after`.
        case records(token: UInt64, bucket: UInt8, after: RecordID?)
    }

    package struct RecordHash: Hashable, Sendable {
        package let record: RecordID
        package let hash: Hash256

        package init(record: RecordID, hash: Hash256) {
            self.record = record
            self.hash = hash
        }
    }

    package struct DiffAnswer: Hashable, Sendable {
        package var token: UInt64
        package var sums: [Hash256]
        package var records: [RecordHash]
        package var more: Bool
        package var frontier: Hash256
        package var digest: CatalogDigest

        package init(
            token: UInt64,
            sums: [Hash256] = [],
            records: [RecordHash] = [],
            more: Bool = false,
            frontier: Hash256,
            digest: CatalogDigest
        ) {
            self.token = token
            self.sums = sums
            self.records = records
            self.more = more
            self.frontier = frontier
            self.digest = digest
        }
    }
}
