import Catalog
package import DeltaLog
package import Gossip
import Governance

/// Where an engine lives while it runs.
package final class EngineBox {
    package var engine: Engine

    package init(_ engine: consuming Engine) {
        self.engine = engine
    }
}

/// One node of a run: what is on its disk survives a crash, what is in its machine's volatile memory survives a kill, and
/// all else does neither.
final class VirtualNode {
    /// Where it runs: its place in the run, and its address.
    let place: Int
    /// Whose key it has. A copy of a folder runs at another place with the same key.
    let number: Int
    let key: NodeKey
    let organization: Int
    /// A key that an adversary's program uses: no engine runs here.
    let isPuppet: Bool

    // On disk.
    var disk: VirtualDisk
    var governance: GovernanceSet
    /// Hashes of statements that were in ``governance`` at some time.
    var seenStatements: Set<MixHash> = []
    var announcements: AnnouncementSet
    /// The log that was last written to.
    var lastLog: LogID?
    /// Nodes that it had sessions with; kept only where processor time counts, as in a node of today.
    var contacts: [NodeKey: KnownContact] = [:]

    /// The sequences up to which logs count by the plan's faults, beside what proofs demand.
    var limits: [LogID: UInt64] = [:]

    // In volatile memory of the machine.
    var boot: UInt64 = 0
    var token: VirtualToken?

    // In memory.
    /// The engine; nil while the node does not run.
    var box: EngineBox?
    /// Counts starts: what was begun before a crash comes to nothing.
    var epoch: UInt64 = 0
    var timerAt: Instant?
    /// What the disk is to do, in order; each has its event.
    var transactions: [Transaction] = []
    var nextTransaction = 0
    /// When the disk has done all that it was given.
    var diskFreeAt: UInt64 = 0
    /// When the last answer of the disk reaches the engine; they come in order.
    var answeredAt: UInt64 = 0
    /// The log that this start writes to; nil before its first write.
    var log: LogID?
    var clock = HybridLogicalClock()
    var connections: [Int] = []
    /// When each of two slots for dials is free, where all dials share them by mistake.
    var dialSlots: [UInt64] = [0, 0]
    /// When it started.
    var startedAt: UInt64 = 0
    var processor = Processor()
    var writer = Writer()

    // How it behaves.
    var storingMilliseconds: ClosedRange<UInt64>?
    /// Takes wants and never sends deltas.
    var isStalling = false
    var stalledReads: [Simulation.Event] = []
    /// Its process is stopped: nothing is answered, and what comes waits.
    var isPaused = false
    var backlog: [Simulation.Event] = []
    /// It stopped for good.
    var hasLeft = false
    /// It will crash in the middle of the next step that has several actions.
    var isDoomed = false
    /// It will crash while it commits its next own write.
    var isDoomedInWrite = false
    var clockAheadMilliseconds: Int64 = 0
    /// How fast its clock runs more than it should, in parts of a million.
    var driftPerMillion: Int64 = 0
    /// The formats that it says it speaks, where it is of another version.
    var format: UInt32?
    /// Its version knows no messages of the broadcast.
    var ignoresBroadcast = false
    /// Its disk says "done" before it is.
    var isLying = false
    var history: [Snapshot] = []
    /// Where a rollback leads.
    var snapshot: Snapshot?
    var role: HostileRole?
    var memory = HostileMemory()

    // What is noted of it.
    var notes = Notes()
    /// Own deltas that were reported to be on disk, one head for each log.
    var acknowledged: [LogID: UInt64] = [:]
    /// What it has handed to its disk and not heard of.
    var storingBytes = 0

    init(
        place: Int,
        number: Int,
        alliance: VirtualAlliance,
        pool: DeltaPool,
        governance: GovernanceSet,
        announcements: AnnouncementSet,
        isPuppet: Bool = false
    ) {
        self.place = place
        self.number = number
        key = alliance.node(number)
        organization = alliance.organizationNumber(of: number)
        self.isPuppet = isPuppet
        disk = VirtualDisk(pool: pool)
        self.governance = governance
        self.announcements = announcements
    }

    /// The last of the enrolled keys, which is another node's.
    var adoptive: NodeKey { box?.engine.roster.organizations.keys.filter { $0 != key }.max() ?? key }

    /// True if the node has held a statement with these bytes.
    func hasSeen(_ statement: [UInt8]) -> Bool { seenStatements.contains(MixHash(of: statement)) }

    /// True while it can take an input.
    var isRunning: Bool { box != nil && !isPaused }

    var summary: StoredSummary { StoredSummary(digest: disk.digest, records: UInt64(disk.shownCount)) }

    /// Its wall clock.
    func wallMilliseconds(at now: UInt64) -> UInt64 {
        let elapsed = Int64(now / 1_000_000)
        let wall =
            1_700_000_000_000 + elapsed + elapsed / 1_000_000 * driftPerMillion
            + elapsed % 1_000_000 * driftPerMillion / 1_000_000 + clockAheadMilliseconds
        return UInt64(max(1, wall))
    }
}

/// What a node keeps in a temporary file system, so that it knows whether its folder is the one it left: which log, on
/// which boot, and the head that the folder holds or was about to hold.
struct VirtualToken {
    let place: Int
    let boot: UInt64
    let log: LogID
    var head: Head?
    var intended: Head?

    /// True if a node at that place and boot, with that head on disk, may go on with the log.
    func allows(place: Int, boot: UInt64, log: LogID, head: Head?) -> Bool {
        place == self.place && boot == self.boot && log == self.log && (head == self.head || head == intended)
    }
}

/// A disk at a moment.
struct Snapshot {
    let disk: VirtualDisk
    let governance: GovernanceSet
    let announcements: AnnouncementSet
    let lastLog: LogID?
}

/// Something that a disk does whole or not at all.
enum Transaction {
    case store(token: UInt64, [VerifiedDelta], from: LinkID)
    case statement(Statement, replaced: Hash256?)
    case announcement(Announcement)
    case write(VerifiedDelta)
    /// A change that somebody asked for at a moment, in nanoseconds since the start.
    case change([RecordChange], askedAt: UInt64)
}

/// What engines reported, and what a node cost.
package struct Notes: Sendable, Equatable {
    package var refusals: [DeltaRefusal] = []
    package var refused: [String] = []
    package var violations: [String] = []
    package var sessions = 0
    package var dials = 0
    /// Reasons for which sessions were ended, by their codes; orderly ends are not among them.
    package var ends: [UInt32: Int] = [:]
    /// Authors found to write more than is pushed on for them.
    package var overBudget = 0
    /// Times that a link was to be read no further for a while.
    package var holds = 0
    /// Of them, those of nodes that never misbehaved.
    package var holdsOfHonest = 0
    package var rosters = 0
    package var messagesSent = 0
    /// When the first message was sent, and when the first delta came, in nanoseconds.
    package var firstSentAt: UInt64?
    package var firstPayloadAt: UInt64?
    package var bytesSent = 0
    /// Bytes of frames that hold deltas.
    package var deltaBytesSent = 0
    /// Deltas that came in messages, each time that they came.
    package var payloadsReceived = 0
    /// Deltas of others that were new here and are on disk.
    package var deliveries = 0
    /// Signatures that a node has to check.
    package var signatureChecks = 0
    /// Records that the deliveries changed or created.
    package var recordsDelivered = 0
}
