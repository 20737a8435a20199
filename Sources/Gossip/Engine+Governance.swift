import Catalog
import DeltaLog

// Governance statements and announcements: small sets that peers bring to equality before any log.

extension Engine {
    mutating func receivedGovernance(
        known: [Hash256],
        statements encoded: [[UInt8]],
        answer: Bool,
        on id: LinkID,
        now: Instant
    ) {
        var fresh: [Statement] = []
        for bytes in encoded {
            do throws(StatementRefusal) {
                fresh.append(try Statement(verifying: bytes, alliance: alliance, cryptography: cryptography))
            } catch .unknownKind {
                // A newer node's affair; it does not stop the others.
                continue
            } catch {
                violate(id, "a governance statement that is \(error)", now: now)
                return
            }
        }
        adopt(fresh, except: id, store: true, now: now)
        guard answer || !known.isEmpty else { return }
        let knownSet = Set(known)
        let missing = governance.sorted.filter { !knownSet.contains($0.id) }
        if answer {
            send(
                id,
                .governance(
                    known: governance.sorted.map(\.id),
                    statements: missing.map(\.encoded),
                    answer: false
                )
            )
        } else if !missing.isEmpty {
            send(id, .governance(known: [], statements: missing.map(\.encoded), answer: false))
        }
    }

    /// Takes in statements; new ones are stored, told to the other peers, and may change the roster.
    mutating func adopt(_ statements: [Statement], except source: LinkID?, store: Bool, now: Instant) {
        var fresh: [Statement] = []
        for statement in statements {
            var replaced: Hash256?
            guard governance.insert(statement, replaced: &replaced) else { continue }
            fresh.append(statement)
            if store || replaced != nil { actions.append(.storeStatement(statement, replaced: replaced)) }
        }
        guard !fresh.isEmpty else { return }
        for id in openLinks where id != source {
            send(id, .governance(known: [], statements: fresh.map(\.encoded), answer: false))
        }
        forks = governance.forks
        let changed = Roster(charter: charter, statements: governance, hasher: cryptography)
        if changed != roster {
            roster = changed
            actions.append(.rosterChanged(roster))
            for link in links.values.sorted(by: { $0.id < $1.id }) where roster.organization(of: link.node) == nil {
                close(link.id, .notAMember, now: now)
            }
        }
        planWants(now: now)
    }

    mutating func receivedAnnouncements(_ encoded: [[UInt8]], on id: LinkID, now: Instant) {
        var fresh: [Announcement] = []
        for bytes in encoded {
            do throws(StatementRefusal) {
                fresh.append(try Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography))
            } catch {
                violate(id, "an announcement that is \(error)", now: now)
                return
            }
        }
        adopt(fresh, except: id, store: true, now: now)
    }

    private var strangers: Int {
        announcements.latest.keys.count { roster.organization(of: $0) == nil }
    }

    /// Takes in announcements; new ones are stored and told to the other peers.
    mutating func adopt(_ fresh: [Announcement], except source: LinkID?, store: Bool, now: Instant) {
        var adopted: [[UInt8]] = []
        for announcement in fresh {
            // One of a node that is not enrolled here may be ahead of the statement that enrols it.
            guard roster.organization(of: announcement.node) != nil || strangers < settings.strangersMax,
                announcements.insert(announcement)
            else { continue }
            adopted.append(announcement.encoded)
            if store { actions.append(.storeAnnouncement(announcement)) }
            // A new address is worth a try at once.
            acquaintances[announcement.node]?.pause = nil
            acquaintances[announcement.node]?.nextDial = nil
        }
        guard !adopted.isEmpty else { return }
        for id in openLinks where id != source { send(id, .announcements(adopted)) }
    }
}
