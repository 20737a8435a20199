import Catalog
import DeltaLog
import Governance

// Connections: dialling, the first messages, and the reasons to end a session.

extension Engine {
    mutating func linkUp(_ id: LinkID, node peer: NodeKey, dialled: Bool, address: String?, now: Instant) {
        if dialled { dialling.ended(peer) }
        guard let organization = roster.organization(of: peer), peer != node else {
            actions.append(.disconnect(id, .notAMember))
            return
        }
        let peerRecord = dialling.record(of: peer)
        guard !peerRecord.isBanned(now: now) else {
            actions.append(.disconnect(id, .banned))
            return
        }
        guard links.values.count(where: { $0.node == peer }) < settings.linksPerNodeMax else {
            actions.append(.disconnect(id, .duplicate))
            return
        }
        guard makeRoom(for: organization, now: now) else {
            actions.append(.disconnect(id, .tooManySessions))
            return
        }
        dialling.connected(peer, of: organization, address: address)
        links.insert(
            Link(id: id, node: peer, peerRecord: peerRecord, dialled: dialled, now: now, settings: settings)
        )
        links.due(now + settings.helloDeadline)
        charge(Price.session, to: id, now: now)
        send(
            id,
            .hello(
                PeerMessage.Hello(
                    alliance: alliance,
                    program: identity.program,
                    governance: membership.statements.currentFingerprint(hasher: cryptography),
                    announcements: membership.announcements.currentFingerprint(hasher: cryptography),
                    state: ownState
                )
            )
        )
    }

    /// Makes room for one more session of an organization. If all slots are taken, it ends a session of the
    /// organization with the most sessions, if that has more than the newcomer's. It ends the latest session that is
    /// not with a neighbour.
    ///
    /// - Returns: False if there is no room.
    private mutating func makeRoom(for organization: OrganizationID, now: Instant) -> Bool {
        let counts = Dictionary(
            links.values.compactMap { roster.organization(of: $0.node) }.map { ($0, 1) },
            uniquingKeysWith: +
        )
        let own = counts[organization] ?? 0
        guard own < settings.linksPerOrganizationMax else { return false }
        guard links.values.count >= settings.linksMax else { return true }
        let most = counts.values.max() ?? 0
        guard most > own + 1,
            let surplus = links.values.last(where: { link in
                !link.isNeighbour && roster.organization(of: link.node).map { counts[$0] == most } == true
            })
        else { return false }
        close(surplus.id, .tooManySessions, now: now)
        return true
    }

    mutating func linkDown(_ id: LinkID, now: Instant) {
        guard let link = links.remove(id) else { return }
        transfer.forget(id)
        let peer = link.node
        let peerRecord = link.peerRecord
        if link.isOpen {
            if link.frontier.isSynced {
                let (behindBy, aheadBy) = difference(link)
                peerRecord.difference = PeerRecord.Difference(
                    behindBy: behindBy,
                    aheadBy: aheadBy,
                    frontier: frontier.fingerprint
                )
            }
            peerRecord.state = link.frontier.state ?? peerRecord.state
        }
        peerRecord.hasFailed = true
        let isLast = !links.values.contains { $0.node == peer && !$0.isSuspect }
        if isLast {
            // The short pause applies only after a session that lasted. A session that was refused or broken off at
            // once, by either side, would fail again.
            if let openedAt = link.liveness.openedAt, openedAt + settings.dialPauseMax <= now {
                peerRecord.dial.pause = nil
            }
            dialling.schedule(peerRecord, now: now, settings: settings, random: &random)
        }
        if isLast { perform(overlay.closed(peer, now: now), now: now) }
        replanAll(of: link)
    }

    /// Bans a peer that broke the protocol: no session with it for a while.
    mutating func ban(_ peer: NodeKey, now: Instant) {
        dialling.record(of: peer).bannedUntil = now + settings.banTime
    }

    /// Notes that something came on a link.
    mutating func heard(_ link: Link, now: Instant) {
        if link.liveness.heard(now: now) {
            // It is no neighbour until one of the two sides asks again.
            replanAll(of: link)
            links.due(now + settings.idleMax)
        }
        link.peerRecord.lastContact = now
        link.peerRecord.hasFailed = false
    }

    mutating func dialFailed(_ peer: NodeKey, reason: String, now: Instant) {
        dialling.failed(
            peer,
            of: membership.roster.organization(of: peer),
            reason: reason,
            now: now,
            settings: settings,
            random: &random
        )
        if !links.values.contains(where: { $0.node == peer }) { perform(overlay.closed(peer, now: now), now: now) }
    }

    mutating func received(_ message: PeerMessage, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        heard(link, now: now)
        if case .refusal(let refusal) = message {
            if !refusal.isOrderly { link.peerRecord.refusal = refusal }
            close(id, nil, now: now)
            return
        }
        charge(Price.price(of: message, records: frontier.summary.records), to: id, now: now)
        if !link.isOpen {
            guard case .hello(let hello) = message else {
                violate(id, "a first message that is not Hello", now: now)
                return
            }
            link.liveness.opened(now: now)
            link.isNeighbour = overlay.active.contains(link.node)
            links.opened(link)
            links.due(now + settings.idleMax)
            opened(id, hello, now: now)
            return
        }
        switch message {
        case .hello: violate(id, "a second Hello", now: now)
        case .refusal: break
        case .governance(let known, let statements, let answer):
            receivedGovernance(known: known, statements: statements, answer: answer, on: id, now: now)
        case .announcements(let encoded): receivedAnnouncements(encoded, on: id, now: now)
        case .ranges(let ranges): receivedRanges(ranges, on: id, now: now)
        case .want(let range, let credit): receivedWant(range, credit: credit, on: id, now: now)
        case .deltas, .push: violate(id, "unchecked deltas", now: now)
        case .ack(let head, let credit): receivedAck(head, credit: credit, on: id)
        case .have(let heads): receivedHeads(heads, on: id, now: now)
        case .state(let state, let question, let answered):
            link.roundTrip.answered(answered, now: now)
            receivedState(state, question: question, on: id, now: now)
        case .deltaRefused(let log, let sequence, let code, let reason):
            // Refusals of others' deltas concern their authors.
            guard log.author == node, link.account.refusedByPeer < settings.notedRefusalsMax else { break }
            link.account.refusedByPeer += 1
            actions.append(.noteRefused(log: log, sequence: sequence, code: code, reason: reason, by: link.node))
        case .headersWanted(let range): receivedHeadersWanted(range, on: id, now: now)
        case .headers(let log, let from, let headers): receivedHeaders(log, from: from, headers, on: id, now: now)
        case .diffQuestion(let question): lookUp(.answerDiff(question, link: id), for: id, now: now)
        case .diffAnswer(let answer): actions.append(.deliverDiff(id, answer))
        case .neighbour(let isUrgent):
            let wishes = overlay.receivedAsk(link.node, isUrgent: isUrgent, now: now, random: &random)
            perform(wishes, now: now)
        case .neighbourAnswer(let isAccepted):
            perform(overlay.receivedAnswer(link.node, isAccepted: isAccepted, now: now), now: now)
        case .leave: perform(overlay.receivedLeave(link.node, now: now), now: now)
        case .shuffle(let token, let hops, let nodes):
            let wishes = overlay.receivedShuffle(
                from: link.node,
                token: token,
                hops: hops,
                nodes: nodes,
                now: now,
                isMember: { [roster] in roster.organization(of: $0) != nil },
                random: &random
            )
            perform(wishes, now: now)
        case .shuffleReply(let token, let nodes):
            let wishes = overlay.receivedShuffleReply(
                from: link.node,
                token: token,
                nodes: nodes,
                isMember: { [roster] in roster.organization(of: $0) != nil }
            )
            perform(wishes, now: now)
        case .iHave(let heads): receivedIHave(heads, on: id, now: now)
        case .graft(let range, let credit): receivedGraft(range, credit: credit, on: id, now: now)
        case .prune: receivedPrune(on: id)
        }
    }

    private mutating func opened(_ id: LinkID, _ hello: PeerMessage.Hello, now: Instant) {
        guard let link = links[id] else { return }
        guard hello.alliance == alliance else {
            close(id, .foreignAlliance, now: now)
            return
        }
        guard hello.formatMin <= formatVersion, hello.formatMax >= formatVersion else {
            close(id, .format(min: hello.formatMin, max: hello.formatMax), now: now)
            return
        }
        guard keepsLink(id, now: now) else { return }
        actions.append(.noteSession(link.node, program: hello.program))
        link.peerRecord.program = hello.program
        link.peerRecord.refusal = nil
        if hello.governance != membership.statements.currentFingerprint(hasher: cryptography) {
            charge(Price.sent(membership.statements.held.count * Hash256.byteCount), to: id, now: now)
            askGovernance(id)
        }
        if hello.announcements != membership.announcements.currentFingerprint(hasher: cryptography) {
            let held = membership.announcements.sorted()
            charge(Price.sent(held.reduce(0) { $0 + $1.encoded.count }), to: id, now: now)
            sendElements(held, to: id)
        }
        // Both sides see at once whether they differ; only one of them begins to compare.
        if hello.state.frontier != frontier.fingerprint, link.node < node { link.frontier.comparedAt = now }
        receivedState(hello.state, question: 0, on: id, now: now)
        perform(overlay.opened(link.node, now: now), now: now)
    }

    /// Decides which of two connections between the same nodes to keep; both sides decide alike. The one that the
    /// lesser key dialled is kept. Of two dialled by one side the newer is kept, since the older may be dead without
    /// notice. A node dials only if it knows of no connection. So if the older connection has been open for longer than
    /// a dial takes, the newer is kept too.
    private mutating func keepsLink(_ id: LinkID, now: Instant) -> Bool {
        guard let link = links[id] else { return false }
        func isPreferred(_ link: Link) -> Bool { link.dialled == (node < link.node) }
        for other in links.values
        where other.id != id && other.node == link.node && other.isOpen {
            let isFresh = other.liveness.openedAt.map { now < $0 + settings.helloDeadline } ?? true
            if isPreferred(other), !isPreferred(link), isFresh {
                close(id, .duplicate, now: now)
                return false
            }
            close(other.id, .duplicate, now: now)
        }
        return true
    }
}
