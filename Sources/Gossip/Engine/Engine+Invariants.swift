import Catalog
import DeltaLog

extension Engine {
    /// Searches the engine's queues, credit and budgets for a violated invariant after a step. No input of a peer may
    /// violate one. Simulations and tests call this; a node in use does not.
    ///
    /// - Returns: A message about the first violated invariant; nil if all hold.
    /// - Complexity: Linear in everything that is held for peers, and in the logs.
    package func checkInvariants() -> String? {
        sizes.excess(over: settings) ?? violationOfSets ?? transfer.violation(settings: settings) ?? accounts.violation
            ?? frontier.violation ?? violationOfLinks ?? violationOfWants
    }

    private var violationOfSets: String? { membership.statements.violation ?? membership.announcements.violation }

    private var violationOfLinks: String? {
        if links.open.map(\.id) != links.values.filter(\.isOpen).map(\.id) { return "open links are not those noted" }
        if let lost = transfer.waitingReads.first(where: { links[$0] == nil }) {
            return "link \(lost.number) has ended and waits to be served"
        }
        if let lost = transfer.lookups.waiting.first(where: { links[$0.link] == nil }) {
            return "link \(lost.link.number) has ended and waits for a lookup"
        }
        if transfer.lookups.running.count > settings.lookupsAtOnceMax { return "too many lookups at once" }
        for link in links.values {
            if let what = violation(of: link) { return "link \(link.id.number): \(what)" }
        }
        return nil
    }

    private func violation(of link: Link) -> String? {
        guard let due = links.dueAt else { return "a deadline that nothing looks at" }
        if link.deadline(settings) < due { return "a deadline before links are looked at" }
        if let deadline = link.fetching.deadline, deadline < due {
            return "a want's deadline before links are looked at"
        }
        if link.account.lookups != transfer.lookups.count(of: link.id) {
            return "\(link.account.lookups) lookups by the count"
        }
        if link.account.lookups > settings.lookupsMax { return "\(link.account.lookups) lookups" }
        return link.fetching.violation(storing: transfer.storing(of: link.id), settings: settings)
            ?? link.serving.violation(settings: settings) ?? link.pushing.violation(settings: settings)
            ?? link.frontier.violation(settings: settings)
    }

    /// The invariant of wants: one peer is asked for a log, and a second one only while the first is late.
    private var violationOfWants: String? {
        var counts: [LogID: Int] = [:]
        for link in links.values {
            for log in link.fetching.wants.keys { counts[log, default: 0] += 1 }
        }
        return counts.first { $0.value > 2 }.map { "\($0.key) is asked of \($0.value) peers" }
    }
}
