import Catalog
import Gossip
import Simulator

// The acts of hostile peers: spontaneous ones, and answers.

extension Run {
    /// The frequency of each kind among spontaneous messages. Kinds that always end a session are rare.
    private static let weights: [(kind: PeerMessage.Kind, weight: Int)] = [
        (.hello, 1), (.refusal, 1), (.governance, 20), (.announcements, 15), (.ranges, 40), (.want, 60), (.deltas, 110),
        (.ack, 60), (.have, 60), (.state, 50), (.deltaRefused, 30), (.headersWanted, 30), (.headers, 1),
        (.diffQuestion, 8), (.diffAnswer, 20), (.neighbour, 20), (.neighbourAnswer, 20), (.leave, 8), (.shuffle, 40),
        (.shuffleReply, 25), (.push, 130), (.iHave, 60), (.graft, 50), (.prune, 20),
    ]
    private static let weightTotal = weights.reduce(0) { $0 + $1.weight }

    private func isSkipped(_ act: Act) -> Bool { settings.skipped.contains(act.rawValue) }

    /// Performs one step.
    func act() throws {
        let roll = Int.random(in: 0..<4_000, using: &random)
        if roll < 90 { edit() }
        if roll == 3_999, !isSkipped(.restart) { restart() }
        guard let nodeIndex = peers.indices.randomElement(using: &random) else { return }
        if roll % 30 == 0, !pool.isFull, !isSkipped(.sign) {
            DeltaMaker(alliance: alliance, author: peers[nodeIndex].number, wallMilliseconds: wallMilliseconds)
                .sign(into: &pool, using: &random)
        }
        if roll % 100 == 1, !isSkipped(.state) {
            StatementMaker(alliance: alliance, author: peers[nodeIndex].number).sign(into: &pool, using: &random)
        }
        if random.isOne(in: openHostile.count < 6 ? 6 : 60), let node = random.pick(nodes), !isSkipped(.connect) {
            dial(node, by: nodeIndex)
        }
        guard let number = random.pick(openHostile), let connection = connections[number] else {
            // All hostile peers are in back-off or not connected yet.
            advance(milliseconds: 300)
            return
        }
        if random.isOne(in: 2_000), !isSkipped(.disconnect) { return hangUp(number) }
        // Avoids a long queue of messages to a node that does not read.
        if connection.heldUntil.contains(where: { $0 > now }), !random.isOne(in: 5) { return }
        speak(on: connection)
    }

    private func speak(on connection: Connection) {
        guard let side = connection.ends.firstIndex(where: { if case .hostile = $0 { true } else { false } }) else {
            return
        }
        let kind = drawKind()
        guard !settings.skipped.contains(kind.name), let maker = maker(connection, side: side) else { return }
        var times = 1
        if random.isOne(in: 100) { times = random.small(below: 60) + 1 }
        let message = maker.message(kind, using: &random)
        for _ in 0..<times { say(message, on: connection, from: side) }
    }

    private func drawKind() -> PeerMessage.Kind {
        var roll = Int.random(in: 0..<Self.weightTotal, using: &random)
        for (kind, weight) in Self.weights {
            if roll < weight { return kind }
            roll -= weight
        }
        return .prune
    }

    private func maker(_ connection: Connection, side: Int) -> MessageMaker? {
        guard case .honest(let nodeIndex) = connection.ends[1 - side] else { return nil }
        return MessageMaker(
            alliance: alliance,
            pool: pool,
            sender: key(of: connection.ends[side]),
            node: nodes[nodeIndex],
            headersMax: engineSettings.headersPerInquiry
        )
    }

    /// Sends a message, or the result of changing its bytes.
    private func say(_ message: PeerMessage, on connection: Connection, from side: Int) {
        var frame = message.encoded()
        if random.isOne(in: 20), !settings.skipped.contains(Act.mutate.rawValue) {
            frame = random.mutated(random.isOne(in: 3) ? random.pick(pool.frames) ?? frame : frame)
        }
        counts.sent += 1
        counts.sentByKind[Int(message.kind.rawValue)] += 1
        guard frame.count <= Self.frameBytesMax else { return }
        // A frame that does not decode ends the session, so most of them are skipped.
        if !random.isOne(in: 50), (try? PeerMessage(decoding: frame)) == nil {
            counts.undecodable += 1
            return
        }
        trace("\(connection.ends[side]) sends \(message.kind.name) to \(connection.ends[1 - side])")
        transmit(frame, on: connection, to: 1 - side)
    }

    /// Sends the first message on a connection.
    func greet(_ connection: Connection, side: Int, as nodeIndex: Int) {
        guard let maker = maker(connection, side: side), !random.isOne(in: 60) else { return }
        transmit(PeerMessage.hello(maker.hello(using: &random)).encoded(), on: connection, to: 1 - side)
    }

    /// Reacts to a message, mostly as an honest node would, so that sessions progress.
    func react(to message: PeerMessage, on connection: Connection, side: Int, as nodeIndex: Int) {
        guard let maker = maker(connection, side: side), let answer = answer(to: message, maker) else { return }
        guard !settings.skipped.contains(answer.kind.name) else { return }
        say(answer, on: connection, from: side)
    }

    private func answer(to message: PeerMessage, _ maker: MessageMaker) -> PeerMessage? {
        switch message {
        case .want(let range, _), .graft(.some(let range), _):
            guard !random.isOne(in: 4) else { return nil }
            let deltas = pool.slice(range).prefix(40).map(\.bytes)
            return .deltas(
                random.isOne(in: 20) ? maker.deltas(using: &random) : maker.altered(Array(deltas), using: &random)
            )
        case .headersWanted(let range):
            return random.isOne(in: 5) ? nil : maker.headers(range, using: &random)
        case .state(_, let question, _) where question != 0:
            return .state(maker.state(using: &random), question: 0, answered: question)
        case .neighbour: return .neighbourAnswer(isAccepted: !random.isOne(in: 5))
        case .ranges(let ranges):
            guard !random.isOne(in: 3) else { return nil }
            let tree = maker.frontier(using: &random)
            let outcome = try? RangeReconciliation.compare(ranges, with: tree, hasher: alliance.cryptography)
            return outcome.flatMap { $0.answer.isEmpty ? nil : .ranges($0.answer) }
        case .governance(_, _, true), .hello:
            return random.isOne(in: 3) ? nil : maker.message(.governance, using: &random)
        case .push, .deltas: return random.isOne(in: 3) ? maker.message(.ack, using: &random) : nil
        case .shuffle(let token, _, _):
            guard case .shuffleReply(_, let nodes) = maker.message(.shuffleReply, using: &random) else { return nil }
            return .shuffleReply(token: token, nodes: nodes)
        case .diffQuestion(.sums(let token)), .diffQuestion(.records(let token, _, _)):
            return .diffAnswer(maker.answer(token, using: &random))
        default: return nil
        }
    }
}
