import Catalog
import Governance

// Relaying of statements and announcements to peers, at a bounded rate for each organization that made them. So an
// organization that signs new ones without end causes bounded traffic.

extension Engine {
    /// Passes new elements on to all peers except the one that brought them. Elements beyond their organization's rate
    /// wait.
    ///
    /// - Parameter before: The roster that names their makers; nil for the present one.
    mutating func relay<Element: SignedElement>(
        _ elements: [Element],
        of set: WritableKeyPath<Membership, SignedSet<Element>>,
        under before: Roster? = nil,
        except source: LinkID?,
        now: Instant
    ) {
        let roster = before ?? roster
        var prompt: [Element] = []
        for element in elements {
            if accounts.takeRelay(of: element.maker(in: roster), now: now, settings: settings) {
                prompt.append(element)
            } else {
                membership[keyPath: set].wait(element.key)
                if timers.relayAt == nil { timers.relayAt = now + settings.relayPause }
            }
        }
        for link in links.open where link.id != source { sendElements(prompt, to: link.id) }
    }

    /// Passes on the elements that have waited for long enough and are still held.
    mutating func relayWaiting(now: Instant) {
        guard timers.isDue(timers.relayAt, now: now) else { return }
        timers.relayAt = nil
        let statements = membership.statements.takeWaiting()
        let announcements = membership.announcements.takeWaiting().sorted { $0.key < $1.key }
        relay(statements, of: \.statements, except: nil, now: now)
        relay(announcements, of: \.announcements, except: nil, now: now)
    }
}
