import Catalog
package import DeltaLog
package import Gossip
import Governance

/// The storage of a running engine.
package final class EngineBox {
    package var engine: Engine

    package init(_ engine: consuming Engine) {
        self.engine = engine
    }
}

/// One node of a run. Its disk survives a crash, its machine's volatile memory survives a kill, and other state
/// survives neither.
final class VirtualNode {
    /// The node's index in the run, which determines its address.
    let nodeIndex: Int
    /// The number of its key. A copy of a folder runs at another index with the same key.
    let number: Int
    let key: NodeKey
    let organization: Int
    /// True for a key that an adversary uses: no engine runs here.
    let isPuppet: Bool

    // On disk:
    var disk: VirtualDisk
    var governance: GovernanceSet
    /// Hashes of all statements that were ever in ``governance``.
    var seenStatements: Set<MixHash> = []
    var announcements: AnnouncementSet
    /// The log of the last write.
    var lastLog: LogID?
    /// Nodes with which it had sessions; kept only with processor costs.
    var contacts: [NodeKey: KnownContact] = [:]

    /// The sequences up to which logs count by the plan's faults, in addition to fork proofs.
    var limits: [LogID: UInt64] = [:]

    // In the machine's volatile memory:
    var boot: UInt64 = 0
    var token: VirtualToken?

    // In memory:
    /// The engine; nil while the node does not run.
    var box: EngineBox?
    /// The number of starts and crashes; events that began in an earlier epoch are ignored.
    var epoch: UInt64 = 0
    var timerAt: Instant?
    /// The queued transactions in order; each has its event.
    var transactions: [Transaction] = []
    var nextTransaction = 0
    /// The time at which the disk has finished all transactions.
    var diskFreeAt: UInt64 = 0
    /// The time at which the disk's last answer reaches the engine; answers arrive in order.
    var answeredAt: UInt64 = 0
    /// The log of writes since this start; nil before the first one.
    var log: LogID?
    var clock = HybridLogicalClock()
    var connections: [Int] = []
    /// The times at which two dial slots are free, for the planted bug that makes all dials share them.
    var dialSlots: [UInt64] = [0, 0]
    /// The time of the last start.
    var startedAt: UInt64 = 0
    var processor = Processor()
    var writer = Writer()

    // Behaviour:
    var storingMilliseconds: ClosedRange<UInt64>?
    /// True if it accepts requests for deltas and never answers them.
    var isStalling = false
    var stalledReads: [Simulation.Event] = []
    /// True if its process is stopped: it answers nothing, and arriving events wait.
    var isPaused = false
    var backlog: [Simulation.Event] = []
    /// True after it stopped for good.
    var hasLeft = false
    /// True if it will crash in the middle of the next step with several actions.
    var isDoomed = false
    /// True if it will crash during its next own write.
    var isDoomedInWrite = false
    var clockAheadMilliseconds: Int64 = 0
    /// The excess speed of its clock, in parts per million.
    var driftPerMillion: Int64 = 0
    /// The format version that it claims to support; nil for the current one.
    var format: UInt32?
    /// True if its version ignores broadcast messages.
    var ignoresBroadcast = false
    /// True if its disk reports success before data is durable.
    var isLying = false
    var history: [Snapshot] = []
    /// The state that a rollback restores.
    var snapshot: Snapshot?
    var role: HostileRole?
    var memory = HostileMemory()

    // Measurements:
    var notes = Notes()
    /// The highest own sequence of each log that was reported to be on disk.
    var acknowledged: [LogID: UInt64] = [:]
    /// The bytes handed to the disk without a result yet.
    var storingBytes = 0

    init(
        nodeIndex: Int,
        number: Int,
        alliance: VirtualAlliance,
        pool: DeltaPool,
        governance: GovernanceSet,
        announcements: AnnouncementSet,
        isPuppet: Bool = false
    ) {
        self.nodeIndex = nodeIndex
        self.number = number
        key = alliance.node(number)
        organization = alliance.organizationNumber(of: number)
        self.isPuppet = isPuppet
        disk = VirtualDisk(pool: pool)
        self.governance = governance
        self.announcements = announcements
    }

    /// The highest enrolled key other than the node's own.
    var adoptive: NodeKey { box?.engine.roster.organizations.keys.filter { $0 != key }.max() ?? key }

    /// True if the node has ever stored a statement with these bytes.
    func hasSeen(_ statement: [UInt8]) -> Bool { seenStatements.contains(MixHash(of: statement)) }

    /// True while it can handle an input.
    var isRunning: Bool { box != nil && !isPaused }

    var summary: StoredSummary { StoredSummary(digest: disk.digest, records: UInt64(disk.visibleCount)) }

    /// The time of its wall clock.
    func wallMilliseconds(at now: UInt64) -> UInt64 {
        let elapsed = Int64(now / 1_000_000)
        let wall =
            1_700_000_000_000 + elapsed + elapsed / 1_000_000 * driftPerMillion
            + elapsed % 1_000_000 * driftPerMillion / 1_000_000 + clockAheadMilliseconds
        return UInt64(max(1, wall))
    }
}

/// A node's record in a temporary file system: the log, the boot, and the head that the folder has or is about to have.
/// It shows whether the folder is unchanged since the node's last write.
struct VirtualToken {
    let nodeIndex: Int
    let boot: UInt64
    let log: LogID
    var head: Head?
    var intended: Head?

    /// True if a node with this index, boot and head on disk may continue the log.
    func allows(nodeIndex: Int, boot: UInt64, log: LogID, head: Head?) -> Bool {
        nodeIndex == self.nodeIndex && boot == self.boot && log == self.log && (head == self.head || head == intended)
    }
}

/// The state of a disk at one time.
struct Snapshot {
    let disk: VirtualDisk
    let governance: GovernanceSet
    let announcements: AnnouncementSet
    let lastLog: LogID?
}

/// An atomic unit of disk work.
enum Transaction {
    case store(token: UInt64, [VerifiedDelta], from: LinkID)
    case statement(Statement, replaced: Hash256?)
    case announcement(Announcement)
    case write(VerifiedDelta)
    /// A requested change, with the time of the request in nanoseconds since the start.
    case change([RecordChange], askedAt: UInt64)
}

/// The engines' reports and a node's costs.
package struct Notes: Sendable, Equatable {
    package var refusals: [DeltaRefusal] = []
    package var refused: [String] = []
    package var violations: [String] = []
    package var sessions = 0
    package var dials = 0
    /// The number of sessions ended by code, without orderly ends.
    package var ends: [UInt32: Int] = [:]
    /// The number of reports that an author writes more than its push budget.
    package var overBudget = 0
    /// The number of times that a link was held.
    package var holds = 0
    /// The holds among them against nodes that never misbehaved.
    package var holdsOfHonest = 0
    package var rosters = 0
    package var messagesSent = 0
    /// The times of the first sent message and of the first received delta, in nanoseconds since the start.
    package var firstSentAt: UInt64?
    package var firstPayloadAt: UInt64?
    package var bytesSent = 0
    /// The bytes of frames with deltas.
    package var deltaBytesSent = 0
    /// The number of deltas in messages, counted at each arrival.
    package var payloadsReceived = 0
    /// The number of new deltas of other nodes that were stored.
    package var deliveries = 0
    /// The number of signatures that the node checks.
    package var signatureChecks = 0
    /// The number of records that the deliveries changed or created.
    package var recordsDelivered = 0
}
