import Catalog
import Governance

/// Questions of peers that wait to be looked up, and those that are being looked up.
///
/// One question of an organization at a time is looked up, and few in all, so that readers of this node's own are never
/// short of the disk.
struct Lookups {
    private(set) var waiting: [(link: LinkID, action: EngineAction)] = []
    /// The links whose questions are being looked up, with their organizations.
    private(set) var running: [LinkID: OrganizationID] = [:]

    mutating func add(_ action: EngineAction, for link: LinkID) { waiting.append((link, action)) }

    /// A question of a link was looked up.
    mutating func done(_ link: LinkID) { running[link] = nil }

    /// A link has ended: nobody waits for its answers.
    mutating func forget(_ link: LinkID) { waiting.removeAll { $0.link == link } }

    /// Takes out the questions that are to be looked up now, in their order. Questions of links that have ended are dropped.
    mutating func start(_ settings: EngineSettings, links: LinkTable, roster: Roster) -> [EngineAction] {
        var started: [EngineAction] = []
        var index = 0
        while running.count < settings.lookupsAtOnceMax, index < waiting.count {
            let (link, action) = waiting[index]
            guard let node = links[link]?.node, let organization = roster.organization(of: node) else {
                waiting.remove(at: index)
                continue
            }
            guard !running.values.contains(organization) else {
                index += 1
                continue
            }
            waiting.remove(at: index)
            running[link] = organization
            started.append(action)
        }
        return started
    }

    /// How many questions of a link wait or are being looked up.
    func count(of link: LinkID) -> Int { waiting.count { $0.link == link } + (running[link] == nil ? 0 : 1) }
}
