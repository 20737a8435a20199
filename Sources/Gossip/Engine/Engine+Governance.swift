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
        // Checking a signature costs far more than finding that a statement is held.
        let held = encoded.count < 8 ? [] : Set(governance.statements.values.map(\.encoded))
        var fresh: [Statement] = []
        let before = governance.statements.count
        for bytes in encoded where !held.contains(bytes) {
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
        if !fresh.isEmpty {
            // What does not count yet may count with what comes in the next message.
            let all = (links[id]?.homeless ?? []) + fresh
            adopt(all, except: id, store: true, now: now)
            let homeless = all.filter { !roster.hasStanding($0) }.suffix(settings.strangersMax)
            links[id]?.homeless = Array(homeless)
            // Signatures of statements that changed nothing were checked in vain.
            let vain = max(0, fresh.count - max(0, governance.statements.count - before))
            guard chargeWaste(vain, to: id, now: now) else { return }
        }
        guard answer || !known.isEmpty else { return }
        if answer {
            guard isAllowed(links[id]?.governanceAnswered, now: now) else { return }
            links[id]?.governanceAnswered = now
        }
        let knownSet = Set(known)
        let missing = governance.sorted.filter { !knownSet.contains($0.id) }
        if answer {
            sendStatements(missing, known: governance.sorted.map(\.id), to: id)
        } else {
            sendStatements(missing, known: [], to: id)
        }
    }

    /// Sends statements, in as many messages as they take; the first one tells what is known here.
    private mutating func sendStatements(_ statements: [Statement], known: [Hash256], to id: LinkID) {
        if !known.isEmpty { send(id, .governance(known: knownShare(known), statements: [], answer: false)) }
        for part in Parts(statements.map(\.encoded), bytesMax: Int(settings.messageBytes)) {
            send(id, .governance(known: [], statements: part, answer: false))
        }
    }

    /// Asks for what is lacking here, and tells what is held, where both sides' sets differ.
    mutating func askGovernance(_ id: LinkID) {
        send(id, .governance(known: knownShare(governance.sorted.map(\.id)), statements: [], answer: true))
    }

    /// As many ids as fit into a message; of those left out the peer sends statements that are held already.
    private func knownShare(_ known: [Hash256]) -> [Hash256] { Array(known.prefix(65_536)) }

    /// Takes in statements; new ones are stored, told to the other peers, and may change the roster.
    mutating func adopt(_ statements: [Statement], except source: LinkID?, store: Bool, now: Instant) {
        let unheld = statements.filter { governance.statements[$0.id] == nil }
        guard !unheld.isEmpty else { return }
        let (taken, changed) = governance.merge(unheld, charter: charter, hasher: cryptography)
        guard !taken.isEmpty else { return }
        governanceFingerprint = nil
        for (statement, replaced) in taken where store || replaced != nil {
            actions.append(.storeStatement(statement, replaced: replaced))
        }
        let held = taken.map(\.statement).filter { governance.statements[$0.id] != nil }
        for link in openLinks where link.id != source { sendStatements(held, known: [], to: link.id) }
        forks = governance.forks
        if changed != roster { enrol(changed, now: now) }
        for (log, fork) in forks {
            for id in links.keys where links[id]?.wants[log].map({ $0.to >= fork }) ?? false {
                links[id]?.wants[log] = nil
            }
        }
        show(durable.heads.keys.sorted(), now: now)
        planWants(now: now)
    }

    mutating func currentGovernanceFingerprint() -> Hash256 {
        if let governanceFingerprint { return governanceFingerprint }
        let fingerprint = governance.fingerprint(hasher: cryptography)
        governanceFingerprint = fingerprint
        return fingerprint
    }

    mutating func currentAnnouncementsFingerprint() -> Hash256 {
        if let announcementsFingerprint { return announcementsFingerprint }
        let fingerprint = announcements.fingerprint(hasher: cryptography)
        announcementsFingerprint = fingerprint
        return fingerprint
    }

    /// Charges a peer for signatures checked in vain; false where its session ends over it.
    mutating func chargeWaste(_ count: Int, to id: LinkID, now: Instant) -> Bool {
        if links[id]?.budget.chargeWaste(count, now: now) ?? true { return true }
        violate(id, "has too many signatures checked in vain", refusal: .budget, now: now)
        return false
    }

    private mutating func enrol(_ changed: Roster, now: Instant) {
        let before = roster
        roster = changed
        actions.append(.rosterChanged(roster))
        overlay.seekSoon(now: now)
        // What was refused for want of a statement may count now.
        parked = parked.filter { $0.value.refusal != .unknownAuthor }
        for node in before.organizations.keys where roster.organization(of: node) == nil { overlay.forget(node) }
        for link in links.values {
            if roster.organization(of: link.node) == nil {
                close(link.id, .notAMember, now: now)
                continue
            }
            // Deltas refused for want of a statement, or for another organization than the roster then gave.
            for log in link.distrusted.keys {
                let organization = roster.organization(of: log.author)
                guard organization != nil, organization != before.organization(of: log.author) else { continue }
                links[link.id]?.distrusted[log] = nil
            }
        }
    }

    mutating func receivedAnnouncements(_ encoded: [[UInt8]], on id: LinkID, now: Instant) {
        let held = encoded.count < 8 ? [] : Set(announcements.latest.values.map(\.encoded))
        var fresh: [Announcement] = []
        for bytes in encoded where !held.contains(bytes) {
            do throws(StatementRefusal) {
                fresh.append(try Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography))
            } catch {
                violate(id, "an announcement that is \(error)", now: now)
                return
            }
        }
        let before = announcements
        adopt(fresh, except: id, store: true, now: now)
        let useful = fresh.count { announcements.latest[$0.node] != before.latest[$0.node] }
        _ = chargeWaste(fresh.count - useful, to: id, now: now)
    }

    private var strangers: Int {
        announcements.latest.keys.count { roster.organization(of: $0) == nil }
    }

    /// Takes in announcements; new ones are stored and told to the other peers.
    mutating func adopt(_ fresh: [Announcement], except source: LinkID?, store: Bool, now: Instant) {
        var adopted: [[UInt8]] = []
        for announcement in fresh {
            // One of a node that is not enrolled here may be ahead of the statement that enrols it.
            guard
                roster.organization(of: announcement.node) != nil || announcements.latest[announcement.node] != nil
                    || strangers < settings.strangersMax,
                announcements.insert(announcement)
            else { continue }
            adopted.append(announcement.encoded)
            if store { actions.append(.storeAnnouncement(announcement)) }
            // A new address is worth a try soon: in a full mesh the node with the lesser key goes first.
            let isFirst = !overlay.isMesh || node < announcement.node
            let acquaintance = acquaintance(announcement.node)
            acquaintance.pause = nil
            acquaintance.nextDial = isFirst ? now : now + settings.dialCourtesy
            overlay.seekSoon(now: now)
        }
        if !adopted.isEmpty { announcementsFingerprint = nil }
        for link in openLinks where link.id != source { sendAnnouncements(adopted, to: link.id) }
    }

    mutating func sendAnnouncements(_ encoded: [[UInt8]], to id: LinkID) {
        for part in Parts(encoded, bytesMax: Int(settings.messageBytes)) { send(id, .announcements(part)) }
    }
}
