import Catalog
import Governance

/// Questions of peers that wait for a lookup, and those that are being looked up.
///
/// One question of an organization is looked up at a time, and few in all, so that this node's own readers are never
/// short of the disk.
struct Lookups {
    private(set) var waiting: [(link: LinkID, action: EngineAction)] = []
    /// The links whose questions are being looked up, with their organizations.
    private(set) var running: [LinkID: OrganizationID] = [:]

    mutating func add(_ action: EngineAction, for link: LinkID) { waiting.append((link, action)) }

    /// Notes that a question of a link was looked up.
    mutating func done(_ link: LinkID) { running[link] = nil }

    /// Forgets a link that has ended: nobody waits for its answers.
    mutating func forget(_ link: LinkID) { waiting.removeAll { $0.link == link } }

    /// Removes and returns the questions to look up now, in their order. Questions of ended links are dropped.
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

    /// The number of questions of a link that wait or are being looked up.
    func count(of link: LinkID) -> Int { waiting.count { $0.link == link } + (running[link] == nil ? 0 : 1) }
}
