import Catalog
import DeltaLog

// Connections: who is dialled, the first messages, and what ends them.

extension Engine {
    mutating func linkUp(_ id: LinkID, node peer: NodeKey, dialled: Bool, now: Instant) {
        acquaintances[peer, default: Acquaintance()].isDialling = false
        guard roster.organization(of: peer) != nil, peer != node else {
            actions.append(.disconnect(id, .notAMember))
            return
        }
        links[id] = Link(id: id, node: peer, dialled: dialled, helloDeadline: now + settings.helloDeadline)
        acquaintances[peer, default: Acquaintance()].nextDial = nil
        actions.append(
            .send(
                id,
                .hello(
                    PeerMessage.Hello(
                        alliance: alliance,
                        program: program,
                        governance: governance.fingerprint(hasher: cryptography),
                        announcements: announcements.fingerprint(hasher: cryptography),
                        state: ownState
                    )
                )
            )
        )
    }

    mutating func linkDown(_ id: LinkID, now: Instant) {
        guard let link = links.removeValue(forKey: id) else { return }
        var acquaintance = acquaintances[link.node] ?? Acquaintance()
        if link.isOpen {
            acquaintance.heads = link.heads ?? acquaintance.heads
            acquaintance.state = link.state ?? acquaintance.state
        }
        acquaintance.hasFailed = true
        if !links.values.contains(where: { $0.node == link.node }) {
            if link.isOpen { acquaintance.pause = nil }
            scheduleDial(&acquaintance, now: now)
        }
        acquaintances[link.node] = acquaintance
        planWants(now: now)
    }

    mutating func dialFailed(_ peer: NodeKey, now: Instant) {
        var acquaintance = acquaintances[peer] ?? Acquaintance()
        acquaintance.isDialling = false
        acquaintance.hasFailed = true
        scheduleDial(&acquaintance, now: now)
        acquaintances[peer] = acquaintance
    }

    private mutating func scheduleDial(_ acquaintance: inout Acquaintance, now: Instant) {
        let pause = acquaintance.pause.map { min(Milliseconds($0.count * 2), settings.dialPauseMax) }
            ?? settings.dialPauseMin
        acquaintance.pause = pause
        acquaintance.nextDial = now + jittered(pause)
    }

    /// Nodes of the roster that can be dialled and are not connected.
    private var unconnected: [NodeKey] {
        let connected = Set(links.values.map(\.node))
        return roster.organizations.keys
            .filter { $0 != node && !connected.contains($0) && announcements.latest[$0]?.addresses.isEmpty == false }
            .sorted()
    }

    mutating func dialWhatIsDue(now: Instant) {
        for peer in unconnected {
            var acquaintance = acquaintances[peer] ?? Acquaintance()
            guard !acquaintance.isDialling else { continue }
            if acquaintance.nextDial == nil {
                // Both sides would dial at once; the one with the lesser key goes first.
                acquaintance.nextDial = node < peer ? now : now + settings.dialCourtesy
            }
            if let nextDial = acquaintance.nextDial, nextDial <= now,
                let addresses = announcements.latest[peer]?.addresses
            {
                acquaintance.isDialling = true
                acquaintance.nextDial = nil
                actions.append(.dial(peer, addresses: addresses))
            }
            acquaintances[peer] = acquaintance
        }
    }

    var nextDials: [Instant] {
        unconnected.compactMap { acquaintances[$0].flatMap { $0.isDialling ? nil : $0.nextDial } }
    }

    mutating func received(_ message: PeerMessage, on id: LinkID, now: Instant) {
        guard var link = links[id] else { return }
        acquaintances[link.node, default: Acquaintance()].lastContact = now
        acquaintances[link.node]?.hasFailed = false
        if case .refusal = message {
            close(id, nil, now: now)
            return
        }
        if !link.isOpen {
            guard case .hello(let hello) = message else {
                violate(id, "a first message that is not Hello", now: now)
                return
            }
            link.helloDeadline = nil
            links[id] = link
            opened(id, hello, now: now)
            return
        }
        switch message {
        case .hello: violate(id, "a second Hello", now: now)
        case .refusal: break
        case .governance(let known, let statements, let answer):
            receivedGovernance(known: known, statements: statements, answer: answer, on: id, now: now)
        case .announcements(let encoded): receivedAnnouncements(encoded, on: id, now: now)
        case .frontier(let heads, let more, let answer):
            receivedFrontier(heads, more: more, answer: answer, on: id, now: now)
        case .want(let range, let credit): receivedWant(range, credit: credit, on: id, now: now)
        case .deltas: violate(id, "unchecked deltas", now: now)
        case .ack(let head, let credit):
            links[id]?.credit = min(link.credit &+ min(credit, UInt64(Int32.max)), UInt64(Int32.max))
            links[id]?.learn(head)
            serve(id)
        case .have(let heads):
            for head in heads { links[id]?.learn(head) }
            compareHeads(heads, on: id)
            planWants(now: now)
        case .state(let state, let answer): receivedState(state, answer: answer, on: id, now: now)
        case .deltaRefused(let log, let sequence, let code, let reason):
            actions.append(.noteRefused(log: log, sequence: sequence, code: code, reason: reason, by: link.node))
        case .headersWanted(let range): receivedHeadersWanted(range, on: id, now: now)
        case .headers(let log, let from, let headers): receivedHeaders(log, from: from, headers, on: id, now: now)
        case .diffQuestion(let question): actions.append(.answerDiff(question, link: id))
        case .diffAnswer(let answer): actions.append(.deliverDiff(id, answer))
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
        acquaintances[link.node]?.program = hello.program
        if hello.governance != governance.fingerprint(hasher: cryptography) {
            send(id, .governance(known: governance.sorted.map(\.id), statements: [], answer: true))
        }
        if hello.announcements != announcements.fingerprint(hasher: cryptography) {
            send(id, .announcements(announcements.sorted.map(\.encoded)))
        }
        // Also where both are equal: the peer's heads tell later which pushes fit, and for whom they are news.
        if hello.state.frontier == fingerprint {
            links[id]?.heads = durable.heads
        } else {
            sendFrontier(id, answer: false)
        }
        receivedState(hello.state, answer: false, on: id, now: now)
    }

    /// Of two connections between the same nodes both sides keep the same one: that which the lesser key dialled, and
    /// of two dialled by one side the newer, since the older may be dead without knowing it.
    private mutating func keepsLink(_ id: LinkID, now: Instant) -> Bool {
        guard let link = links[id] else { return false }
        func isPreferred(_ link: Link) -> Bool { link.dialled == (node < link.node) }
        for other in links.values.sorted(by: { $0.id < $1.id })
        where other.id != id && other.node == link.node && other.isOpen {
            if isPreferred(other), !isPreferred(link) {
                close(id, .duplicate, now: now)
                return false
            }
            close(other.id, .duplicate, now: now)
        }
        return true
    }

    mutating func receivedState(_ state: StateSummary, answer: Bool, on id: LinkID, now: Instant) {
        guard let link = links[id] else { return }
        links[id]?.state = state
        acquaintances[link.node, default: Acquaintance()].state = state
        let ahead = Int64(clamping: state.wallMilliseconds) - Int64(clamping: wallMilliseconds)
        acquaintances[link.node]?.clockAheadMilliseconds = ahead
        if answer { send(id, .state(ownState, answer: false)) }
        if state.frontier == fingerprint {
            links[id]?.heads = durable.heads
            return
        }
        // Different frontiers are nothing unusual while deltas are under way; what is asked for comes.
        guard storing.isEmpty, link.wants.isEmpty, unannounced.isEmpty else { return }
        if let asked = link.frontierAsked, now.milliseconds(since: asked) < 1000 { return }
        links[id]?.frontierAsked = now
        if link.heads != nil || link.frontierAsked != nil { sendFrontier(id, answer: true) }
    }
}
