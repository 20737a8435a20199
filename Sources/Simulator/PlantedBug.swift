import Catalog
import DeltaLog
import Gossip

/// A deliberate bug of nodes outside the engine, which shows that the checkers detect it.
package enum PlantedBug: String, CaseIterable, Hashable, Sendable {
    /// A citation of another log's operation is treated as dangling, so it supersedes nothing.
    case skipSuperseded = "skip-superseded"
    /// An own delta is sent to peers before it is on disk.
    case sendBeforeDurable = "send-before-durable"
    /// Requests for announced deltas that did not arrive are lost.
    case dropGraft = "drop-graft"
    /// The engine receives the result of storing before the deltas are stored.
    case ackBeforeStoring = "ack-before-storing"
    /// Occasionally a delta is merged a second time.
    case applyTwice = "apply-twice"
    /// Dangling references are forgotten.
    case loseDanglingReference = "lose-dangling-reference"
    /// Writes that the operations behind a bound had superseded stay superseded.
    case forgetRevival = "forget-revival"
    /// Messages about new heads are lost.
    case forgetHave = "forget-have"
    /// After a restart the node continues the old log without regard to the token.
    case ignoreToken = "ignore-token"
    /// The work caused by peers' messages is charged to no organization.
    case freeWork = "free-work"
    /// A link is read although its organization has overdrawn its budget.
    case readOn = "read-on"
    /// Neighbours are chosen without regard to their organizations.
    case crowdedNeighbours = "crowded-neighbours"
    /// An organization may have any number of sessions.
    case endlessSessions = "endless-sessions"
    /// All dials wait for the same two slots, and a dead address occupies a slot until its timeout.
    case sharedDials = "shared-dials"
    /// A node remembers any number of heads that a peer announces.
    case endlessHeads = "endless-heads"
    /// A node remembers heads of unenrolled authors.
    case unknownHeads = "unknown-heads"
    /// At each message all requests are planned again in a pass over all heads.
    case replan = "replan"
    /// Statements and announcements are forwarded at once, without a rate limit.
    case relayAtOnce = "relay-at-once"
    /// A node that announced a delta has 20 seconds to send it; no other node is asked in that time.
    case trustPromises = "trust-promises"
    /// A peer that is silent for a second is considered dead.
    case impatience = "impatience"
    /// The bytes of frames with deltas are not taken from the credit that their sender was given.
    case uncountedFrames = "uncounted-frames"

    /// A short summary for people.
    package var summary: String {
        switch self {
        case .skipSuperseded: "a citation of another log's operation supersedes nothing"
        case .sendBeforeDurable: "an own delta is sent before it is on disk"
        case .dropGraft: "requests for announced deltas are lost"
        case .ackBeforeStoring: "deltas are acknowledged before they are stored"
        case .applyTwice: "a delta is merged a second time"
        case .loseDanglingReference: "dangling references are forgotten"
        case .forgetRevival: "writes that cut operations superseded stay superseded"
        case .forgetHave: "announcements of new heads are lost"
        case .ignoreToken: "a restored folder continues its old log"
        case .freeWork: "the work for peers' messages is not charged"
        case .readOn: "a held link is still read"
        case .crowdedNeighbours: "neighbours are chosen without regard to organizations"
        case .endlessSessions: "an organization has any number of sessions"
        case .sharedDials: "all dials share two slots"
        case .endlessHeads: "any number of heads is remembered"
        case .unknownHeads: "heads of unknown authors are remembered"
        case .replan: "each message plans all requests again"
        case .relayAtOnce: "statements and announcements are relayed without a rate limit"
        case .trustPromises: "a node that announced a delta blocks requests to others for 20 s"
        case .impatience: "a peer that is silent for a second is dropped"
        case .uncountedFrames: "frames with deltas cost their sender no credit"
        }
    }

    /// Changes the settings of a run, if the bug is a missing bound.
    func change(_ settings: inout Simulation.Settings) {
        switch self {
        case .freeWork:
            settings.engine.budget.workPerSecond = 1_000_000_000
            settings.engine.budget.workBurst = 1_000_000_000
        case .crowdedNeighbours: settings.engine.overlay.organizationParts = 1
        case .endlessSessions:
            settings.engine.linksPerOrganizationMax = 1_000_000_000
            settings.engine.linksMax = 1_000_000_000
        case .endlessHeads, .unknownHeads:
            settings.engine.headsMax = 1_000_000_000
            settings.engine.headsPerAuthorMax = 1_000_000_000
            settings.engine.headsPerOrganizationMax = 1_000_000_000
        case .replan: settings.costs?.headAhead = 1_500
        case .relayAtOnce:
            settings.engine.relaysPerSecond = 1_000_000
            settings.engine.relaysBurst = 1_000_000
        case .trustPromises: settings.engine.wantLateAfter = 60_000
        case .impatience:
            settings.engine.suspectAfter = 1_000
            settings.engine.silenceMax = 1_000
        case .skipSuperseded, .sendBeforeDurable, .dropGraft, .ackBeforeStoring, .applyTwice, .loseDanglingReference,
            .forgetRevival, .forgetHave, .ignoreToken, .readOn, .sharedDials, .uncountedFrames:
            break
        }
    }
}

/// A planted bug of a node's storage.
struct StoragePlant {
    private let bug: PlantedBug
    /// The log of the delta that is being merged; nil while none is.
    var merging: LogID?

    /// Nil for a bug outside the storage.
    init?(_ bug: PlantedBug) {
        guard [.skipSuperseded, .loseDanglingReference, .forgetRevival].contains(bug) else { return nil }
        self.bug = bug
    }

    /// True if the merging code must not see a log's head.
    func hides(_ log: LogID) -> Bool {
        bug == .skipSuperseded && merging.map { $0 != log } ?? false
    }

    /// The change without writes that are live again; nil if the change stays as it is.
    func forgettingRevival(_ change: MergedRecord) -> MergedRecord? {
        guard bug == .forgetRevival, let before = change.before else { return nil }
        var record = change.record
        record.state = RecordState(
            operations: record.state.operations.compactMap { operation in
                guard let held = before.state.operations.first(where: { $0.dot == operation.dot }) else { return nil }
                var left = operation
                left.writes.removeAll { !held.writes.contains($0) }
                return left.writes.isEmpty ? nil : left
            }
        )
        return MergedRecord(before: before, record: record, arrived: nil)
    }

    /// True if a dangling reference is forgotten.
    func losesCitation() -> Bool { bug == .loseDanglingReference }
}
