import Catalog
import DeltaLog
import Governance

// Governance statements and announcements: small sets that peers make equal before any log.

extension Engine {
    mutating func receivedGovernance(
        known: [Hash256],
        statements encoded: [[UInt8]],
        answer: Bool,
        on id: LinkID,
        now: Instant
    ) {
        guard let link = links[id] else { return }
        let fresh: [Statement]
        var price: UInt64
        do throws(StatementRefusal) {
            (fresh, price) = try check(encoded, notIn: membership.statements)
        } catch {
            violate(id, "\(Statement.name) that is \(error)", now: now)
            return
        }
        if !fresh.isEmpty {
            // Statements without standing may gain it through the statements of the next message.
            let all = link.orphans + fresh
            adopt(all, except: id, store: true, now: now)
            link.orphans = Array(all.filter { !roster.hasStanding($0) }.suffix(settings.orphansMax))
            price += UInt64(membership.statements.held.count) * Price.statementHeld
        }
        // A peer may honestly hold statements that have no standing here, so they are only charged to its
        // organization's account.
        charge(price, to: id, now: now)
        guard answer || !known.isEmpty, links[id] != nil else { return }
        if answer {
            guard isAllowed(link.account.governanceAnswered, now: now) else { return }
            link.account.governanceAnswered = now
        }
        let knownSet = Set(known)
        let held = membership.statements.sorted()
        let missing = held.filter { !knownSet.contains($0.id) }
        let size = missing.reduce(answer ? held.count * Hash256.byteCount : 0) { $0 + $1.encoded.count }
        charge(UInt64(held.count) * Price.statementHeld + Price.sent(size), to: id, now: now)
        if answer { sendKnown(held, answer: false, to: id) }
        sendElements(missing, to: id)
    }

    /// Checks those elements of a message that are not held: a signature check costs far more than a lookup.
    ///
    /// - Returns: The valid elements, and the price of the checks. A kind that only newer nodes know is left out, and
    ///   does not stop the others.
    private func check<Element: SignedElement>(
        _ encoded: [[UInt8]],
        notIn set: SignedSet<Element>
    ) throws(StatementRefusal) -> (fresh: [Element], price: UInt64) {
        var fresh: [Element] = []
        var price: UInt64 = 0
        for bytes in encoded where !set.holds(bytes) {
            price += Element.price(byteCount: bytes.count)
            do throws(StatementRefusal) {
                fresh.append(try Element(verifying: bytes, alliance: alliance, cryptography: cryptography))
            } catch .unknownKind {
                continue
            }
        }
        return (fresh, price)
    }

    /// Sends the ids of the statements held, and asks the peer for the missing ones.
    mutating func askGovernance(_ id: LinkID) { sendKnown(membership.statements.sorted(), answer: true, to: id) }

    /// Sends the ids of statements held, as many as fit into a message. For ids left out the peer sends statements that
    /// are already held.
    private mutating func sendKnown(_ held: [Statement], answer: Bool, to id: LinkID) {
        let known = held.prefix(65_536).map(\.id)
        if answer || !known.isEmpty { send(id, .governance(known: known, statements: [], answer: answer)) }
    }

    /// Sends signed elements, in as many messages as needed.
    mutating func sendElements<Element: SignedElement>(_ elements: [Element], to id: LinkID) {
        let bytesMax = Int(settings.messageBytes)
        for part in Parts(elements.map(\.encoded), bytesMax: bytesMax, countMax: Element.countMax) {
            send(id, Element.message(part))
        }
    }

    /// Takes in statements. New ones are stored and passed on to the other peers, and may change the roster.
    mutating func adopt(_ statements: [Statement], except source: LinkID?, store: Bool, now: Instant) {
        guard let adoption = membership.adopt(statements, hasher: cryptography) else { return }
        for (statement, replaced) in adoption.taken where store || replaced != nil {
            actions.append(.storeStatement(statement, replaced: replaced))
        }
        relay(
            adoption.taken.map(\.statement).filter { membership.statements.held[$0.id] != nil },
            of: \.statements,
            under: adoption.rosterBefore,
            except: source,
            now: now
        )
        var concerned: Set<NodeKey> = []
        for (log, fork) in adoption.forks {
            concerned.insert(log.author)
            frontier.noteFork(log)
            for link in links.values where link.fetching.wants[log].map({ $0.to >= fork }) ?? false {
                link.fetching.drop(log)
                transfer.replan(log)
            }
        }
        if let before = adoption.rosterBefore { concerned.formUnion(enrolled(since: before, now: now)) }
        advertise(concerned.flatMap(frontier.logs).sorted(), now: now)
    }

    /// Carries out the consequences of a changed roster.
    ///
    /// - Returns: The nodes whose organization has changed.
    private mutating func enrolled(since before: Roster, now: Instant) -> Set<NodeKey> {
        actions.append(.rosterChanged(roster))
        overlay.adopt(roster.organizations)
        overlay.seekSoon(now: now)
        accounts.keep { [membership] in membership.roster.members[$0] != nil }
        transfer.unparkUnknownAuthors()
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
            // The cause of the refusal may be gone: a statement was missing, or the roster gave the node to another
            // organization.
            for log in link.fetching.backingOff.keys where concerned.contains(log.author) {
                guard roster.organization(of: log.author) != nil else { continue }
                link.fetching.endBackOff(log)
                transfer.replan(log)
            }
            // Heads of unknown authors were not kept.
            guard link.frontier.hasUnknownAuthors, link.isOpen else { continue }
            link.frontier.hasUnknownAuthors = false
            compare(link.id, now: now)
        }
        return concerned
    }

    mutating func receivedAnnouncements(_ encoded: [[UInt8]], on id: LinkID, now: Instant) {
        let fresh: [Announcement]
        let price: UInt64
        do throws(StatementRefusal) {
            (fresh, price) = try check(encoded, notIn: membership.announcements)
        } catch {
            violate(id, "\(Announcement.name) that is \(error)", now: now)
            return
        }
        let held = fresh.isEmpty ? 0 : UInt64(membership.announcements.held.count) * Price.announcementHeld
        charge(price + held, to: id, now: now)
        adopt(fresh, except: id, store: true, now: now)
    }

    /// Takes in announcements. New ones are stored and passed on to the other peers.
    mutating func adopt(_ fresh: [Announcement], except source: LinkID?, store: Bool, now: Instant) {
        let adopted = membership.adopt(fresh, orphansMax: settings.orphansMax)
        for (announcement, replaced) in adopted {
            if store { actions.append(.storeAnnouncement(announcement)) }
            if replaced?.addresses != announcement.addresses { hasten(announcement.node, now: now) }
        }
        relay(adopted.map(\.added), of: \.announcements, except: source, now: now)
    }

    /// Dials a node soon after it announced a new address; in a full mesh the node with the lesser key goes first.
    private mutating func hasten(_ peer: NodeKey, now: Instant) {
        let next = !overlay.isMesh || node < peer ? now : now + settings.dialCourtesy
        if dialling.hasten(peer, to: next, now: now, settings: settings) { overlay.seekSoon(now: now) }
    }
}
