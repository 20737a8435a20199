import Catalog
import Governance

// Statements and announcements passed on to peers, at a pace for each organization that made them: nobody who signs new
// ones without end has the others send them to each other without end.

extension Engine {
    /// Passes elements that were taken in on to the peers, but for the one that brought them. What is beyond its
    /// organization's pace waits.
    ///
    /// - Parameter before: The roster that tells who made them; nil for the present one.
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

    /// Passes on what has waited for long enough and is still held.
    mutating func relayWaiting(now: Instant) {
        guard timers.isDue(timers.relayAt, now: now) else { return }
        timers.relayAt = nil
        let statements = membership.statements.takeDangling()
        let announcements = membership.announcements.takeDangling().sorted { $0.key < $1.key }
        relay(statements, of: \.statements, except: nil, now: now)
        relay(announcements, of: \.announcements, except: nil, now: now)
    }
}
