import Catalog
import DeltaLog
import Governance

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
        var checked: UInt64 = 0
        // Checking a signature costs far more than finding that a statement is held.
        for bytes in encoded where !heldStatements.contains(bytes) {
            checked += Price.statement + Price.bytes(bytes.count)
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
            let all = (links[id]?.orphans ?? []) + fresh
            adopt(all, except: id, store: true, now: now)
            let orphans = all.filter { !roster.hasStanding($0) }.suffix(settings.orphansMax)
            links[id]?.orphans = Array(orphans)
            checked += UInt64(governance.statements.count) * Price.statementHeld
        }
        // A peer may honestly hold what has no standing here: whatever it brings only costs its organization's account.
        charge(checked, to: id, now: now)
        guard answer || !known.isEmpty else { return }
        if answer {
            guard isAllowed(links[id]?.governanceAnswered, now: now) else { return }
            links[id]?.governanceAnswered = now
        }
        let knownSet = Set(known)
        let held = sortedStatements()
        let missing = held.filter { !knownSet.contains($0.id) }
        let size = missing.reduce(answer ? held.count * Hash256.byteCount : 0) { $0 + $1.encoded.count }
        charge(UInt64(held.count) * Price.statementHeld + Price.sent(size), to: id, now: now)
        sendStatements(missing, known: answer ? held.map(\.id) : [], to: id)
    }

    /// All statements held, ascending by id.
    private mutating func sortedStatements() -> [Statement] {
        if let statementsInOrder { return statementsInOrder }
        let sorted = governance.sorted
        statementsInOrder = sorted
        return sorted
    }

    /// Sends statements, in as many messages as they take; the first one tells what is known here.
    mutating func sendStatements(_ statements: [Statement], known: [Hash256], to id: LinkID) {
        if !known.isEmpty { send(id, .governance(known: knownShare(known), statements: [], answer: false)) }
        let parts = Parts(
            statements.map(\.encoded),
            bytesMax: Int(settings.messageBytes),
            countMax: PeerMessage.statementsMax
        )
        for part in parts {
            send(id, .governance(known: [], statements: part, answer: false))
        }
    }

    /// Asks for what is lacking here, and tells what is held, where both sides' sets differ.
    mutating func askGovernance(_ id: LinkID) {
        send(id, .governance(known: knownShare(sortedStatements().map(\.id)), statements: [], answer: true))
    }

    /// As many ids as fit into a message; of those left out the peer sends statements that are held already.
    private func knownShare(_ known: [Hash256]) -> [Hash256] { Array(known.prefix(65_536)) }

    /// Takes in statements; new ones are stored, told to the other peers, and may change the roster.
    mutating func adopt(_ statements: [Statement], except source: LinkID?, store: Bool, now: Instant) {
        let unheld = statements.filter { governance.statements[$0.id] == nil }
        guard !unheld.isEmpty else { return }
        let before = governance
        let (taken, changed) = governance.merge(unheld, charter: charter, hasher: cryptography)
        guard !taken.isEmpty else { return }
        governanceFingerprint = nil
        statementsInOrder = nil
        for (statement, replaced) in taken {
            if let replaced, let old = before.statements[replaced] { heldStatements.remove(old.encoded) }
            heldStatements.insert(statement.encoded)
            if store || replaced != nil { actions.append(.storeStatement(statement, replaced: replaced)) }
        }
        let held = taken.map(\.statement).filter { governance.statements[$0.id] != nil }
        relay(held, except: source, now: now)
        var concerned: Set<NodeKey> = []
        let oldForks = forks
        forks = governance.forks
        for (log, fork) in forks where oldForks[log] != fork {
            concerned.insert(log.author)
            uncut.insert(log)
            for link in links.values where link.wants[log].map({ $0.to >= fork }) ?? false {
                link.wants[log] = nil
                unplanned.insert(log)
            }
        }
        if changed != roster { concerned.formUnion(enrol(changed, now: now)) }
        let logs = concerned.flatMap { author in
            (incarnations[author] ?? []).map { LogID(author: author, incarnation: $0) }
        }
        advertise(logs.sorted(), now: now)
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

    /// Takes over a changed roster.
    ///
    /// - Returns: The nodes whose organization has changed.
    private mutating func enrol(_ changed: Roster, now: Instant) -> Set<NodeKey> {
        let before = roster
        roster = changed
        actions.append(.rosterChanged(roster))
        overlay.adopt(roster.organizations)
        overlay.seekSoon(now: now)
        accounts = accounts.filter { roster.members[$0.key] != nil }
        // What was refused for want of a statement may count now.
        parked = parked.filter { $0.value.refusal != .unknownAuthor }
        var concerned: Set<NodeKey> = []
        for (node, organization) in before.organizations where roster.organization(of: node) != organization {
            concerned.insert(node)
            if roster.organization(of: node) == nil { overlay.forget(node) }
        }
        for node in roster.organizations.keys where before.organization(of: node) == nil { concerned.insert(node) }
        for link in links.values {
            if roster.organization(of: link.node) == nil {
                close(link.id, .notAMember, now: now)
                continue
            }
            // Deltas refused for want of a statement, or for another organization than the roster then gave.
            for log in link.backingOff.keys where concerned.contains(log.author) {
                guard roster.organization(of: log.author) != nil else { continue }
                link.backingOff[log] = nil
                unplanned.insert(log)
            }
            // Heads of authors that were unknown were not kept.
            guard link.hasUnknownAuthors, link.isOpen else { continue }
            link.hasUnknownAuthors = false
            compare(link.id, now: now)
        }
        return concerned
    }

    mutating func receivedAnnouncements(_ encoded: [[UInt8]], on id: LinkID, now: Instant) {
        var fresh: [Announcement] = []
        for bytes in encoded where !heldAnnouncements.contains(bytes) {
            do throws(StatementRefusal) {
                fresh.append(try Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography))
            } catch {
                violate(id, "an announcement that is \(error)", now: now)
                return
            }
        }
        let held = fresh.isEmpty ? 0 : UInt64(announcements.latest.count) * Price.announcementHeld
        charge(UInt64(fresh.count) * Price.signature + held, to: id, now: now)
        adopt(fresh, except: id, store: true, now: now)
    }

    /// Takes in announcements; new ones are stored and told to the other peers.
    mutating func adopt(_ fresh: [Announcement], except source: LinkID?, store: Bool, now: Instant) {
        var adopted: [Announcement] = []
        var strangers = fresh.isEmpty ? 0 : announcements.latest.keys.count { roster.organization(of: $0) == nil }
        for announcement in fresh {
            let node = announcement.node
            let held = announcements.latest[node]
            // One of a node that is not enrolled here may be ahead of the statement that enrols it.
            let isStranger = roster.organization(of: node) == nil
            guard !isStranger || held != nil || strangers < settings.orphansMax, announcements.insert(announcement)
            else { continue }
            if isStranger, held == nil { strangers += 1 }
            if let held { heldAnnouncements.remove(held.encoded) }
            heldAnnouncements.insert(announcement.encoded)
            adopted.append(announcement)
            if store { actions.append(.storeAnnouncement(announcement)) }
            if held?.addresses != announcement.addresses { hasten(node, now: now) }
        }
        if !adopted.isEmpty { announcementsFingerprint = nil }
        relay(adopted, except: source, now: now)
    }

    /// A new address is worth a try soon, though not as often as somebody signs one: in a full mesh the node with the
    /// lesser key goes first.
    private mutating func hasten(_ peer: NodeKey, now: Instant) {
        let peerRecord = peerRecord(peer)
        if let last = peerRecord.hastenedAt, now < last + settings.dialPauseMax { return }
        peerRecord.hastenedAt = now
        peerRecord.pause = nil
        peerRecord.nextDial = !overlay.isMesh || node < peer ? now : now + settings.dialCourtesy
        overlay.seekSoon(now: now)
    }

    mutating func sendAnnouncements(_ encoded: [[UInt8]], to id: LinkID) {
        let bytesMax = Int(settings.messageBytes)
        for part in Parts(encoded, bytesMax: bytesMax, countMax: PeerMessage.announcementsMax) {
            send(id, .announcements(part))
        }
    }
}
