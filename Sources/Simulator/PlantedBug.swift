import Catalog

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
    /// Announcements of new heads never arrive.
    case forgetHave = "forget-have"
    /// After a restart the old log is continued, whatever the token says.
    case ignoreToken = "ignore-token"

    /// A few words for people.
    package var summary: String {
        switch self {
        case .skipSuperseded: "a citation of another log's operation supersedes nothing"
        case .sendBeforeDurable: "an own delta is sent before it is on disk"
        case .dropGraft: "requests for what was told of are lost"
        case .ackBeforeStoring: "deltas are acknowledged before they are stored"
        case .applyTwice: "a delta is merged a second time"
        case .loseWaitingCitation: "a citation that waits for its operation is forgotten"
        case .forgetHave: "announcements of new heads are lost"
        case .ignoreToken: "a folder put back continues its old log"
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
        guard bug == .skipSuperseded || bug == .loseWaitingCitation else { return nil }
        self.bug = bug
    }

    /// True where a log's head is kept from the one who merges.
    func hides(_ log: LogID) -> Bool {
        bug == .skipSuperseded && merging.map { $0 != log } ?? false
    }

    /// True where a citation is forgotten.
    func losesCitation() -> Bool { bug == .loseWaitingCitation }
}
