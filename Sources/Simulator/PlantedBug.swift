import Catalog
import DeltaLog
import Gossip

/// A mistake that nodes make on purpose, outside the engine, so that it can be shown that the checkers find it.
package enum PlantedBug: String, CaseIterable, Hashable, Sendable {
    /// A citation of another log's operation is taken for one that has not come, and so supersedes nothing.
    case skipSuperseded = "skip-superseded"
    /// Peers are given an own delta before it is on disk.
    case sendBeforeDurable = "send-before-durable"
    /// Requests for what was told of and did not come never arrive.
    case dropGraft = "drop-graft"
    /// The engine is told that deltas are stored before they are.
    case ackBeforeStoring = "ack-before-storing"
    /// Now and then a delta is merged a second time.
    case applyTwice = "apply-twice"
    /// A citation that has to wait for its operation is forgotten.
    case loseWaitingCitation = "lose-waiting-citation"
    /// What the operations behind a bound had superseded stays superseded.
    case forgetRevival = "forget-revival"
    /// Announcements of new heads never arrive.
    case forgetHave = "forget-have"
    /// After a restart the old log is continued, whatever the token says.
    case ignoreToken = "ignore-token"
    /// Nothing that peers' messages take is charged to anybody.
    case freeWork = "free-work"
    /// A link is read on, though its organization has overdrawn its account.
    case readOn = "read-on"
    /// Neighbours are chosen without regard to their organizations.
    case crowdedNeighbours = "crowded-neighbours"
    /// An organization may have any number of sessions.
    case endlessSessions = "endless-sessions"
    /// All dials wait for the same two slots, and a dead address holds one for its whole time.
    case sharedDials = "shared-dials"
    /// Any number of heads is remembered that a peer tells of.
    case endlessHeads = "endless-heads"
    /// Heads of authors that nobody has enrolled are remembered.
    case strangersHeads = "strangers-heads"
    /// At each message it is planned anew what to ask for, by a pass over all heads.
    case planAnew = "plan-anew"
    /// Statements and announcements are passed on as fast as they come.
    case relayAtOnce = "relay-at-once"
    /// Who promised a delta has 20 seconds to give it, and nobody else is asked meanwhile.
    case trustPromises = "trust-promises"
    /// A peer that says nothing for a second is taken for dead.
    case impatience = "impatience"

    /// A few words for people.
    package var summary: String {
        switch self {
        case .skipSuperseded: "a citation of another log's operation supersedes nothing"
        case .sendBeforeDurable: "an own delta is sent before it is on disk"
        case .dropGraft: "requests for what was told of are lost"
        case .ackBeforeStoring: "deltas are acknowledged before they are stored"
        case .applyTwice: "a delta is merged a second time"
        case .loseWaitingCitation: "a citation that waits for its operation is forgotten"
        case .forgetRevival: "a relimit forgets what the cut operations superseded"
        case .forgetHave: "announcements of new heads are lost"
        case .ignoreToken: "a folder put back continues its old log"
        case .freeWork: "peers' messages cost them nothing"
        case .readOn: "a link that is to be held is read on"
        case .crowdedNeighbours: "neighbours are chosen without regard to organizations"
        case .endlessSessions: "an organization has any number of sessions"
        case .sharedDials: "all dials share two slots"
        case .endlessHeads: "any number of heads is remembered"
        case .strangersHeads: "heads of unknown authors are remembered"
        case .planAnew: "each message has all wants planned anew"
        case .relayAtOnce: "statements and announcements are passed on without a pace"
        case .trustPromises: "who promised a delta holds others up for 20 s"
        case .impatience: "a peer that is silent for a second is dropped"
        }
    }

    /// Changes the settings of a run, where the bug is a bound that is missing.
    func change(_ settings: inout Simulation.Settings) {
        switch self {
        case .freeWork:
            settings.engine.budget.workPerSecond = 1_000_000_000
            settings.engine.budget.workBurst = 1_000_000_000
        case .crowdedNeighbours: settings.engine.overlay.organizationParts = 1
        case .endlessSessions:
            settings.engine.linksPerOrganizationMax = 1_000_000_000
            settings.engine.linksMax = 1_000_000_000
        case .endlessHeads, .strangersHeads:
            settings.engine.headsMax = 1_000_000_000
            settings.engine.headsPerAuthorMax = 1_000_000_000
            settings.engine.headsPerOrganizationMax = 1_000_000_000
        case .planAnew: settings.costs?.headAhead = 1_500
        case .relayAtOnce:
            settings.engine.relaysPerSecond = 1_000_000
            settings.engine.relaysBurst = 1_000_000
        case .trustPromises: settings.engine.wantLateAfter = 60_000
        case .impatience:
            settings.engine.suspectAfter = 1_000
            settings.engine.silenceMax = 1_000
        case .skipSuperseded, .sendBeforeDurable, .dropGraft, .ackBeforeStoring, .applyTwice, .loseWaitingCitation,
            .forgetRevival, .forgetHave, .ignoreToken, .readOn, .sharedDials:
            break
        }
    }
}

/// A planted bug of a node's storage.
struct StoragePlant {
    private let bug: PlantedBug
    /// The log of the delta that is being merged; nil while none is.
    var merging: LogID?

    /// Nil for a bug that is not the storage's.
    init?(_ bug: PlantedBug) {
        guard [.skipSuperseded, .loseWaitingCitation, .forgetRevival].contains(bug) else { return nil }
        self.bug = bug
    }

    /// True where a log's head is kept from the one who merges.
    func hides(_ log: LogID) -> Bool {
        bug == .skipSuperseded && merging.map { $0 != log } ?? false
    }

    /// The change without the writes that live again; nil where it is made as it is.
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

    /// True where a citation is forgotten.
    func losesCitation() -> Bool { bug == .loseWaitingCitation }
}
