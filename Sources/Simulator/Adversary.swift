import Catalog
import DeltaLog
import Gossip

/// The program of a hostile organization. It uses all node keys that the organization has enrolled; keys without an
/// engine are its puppets. It knows the state of all nodes and has no resource limits.
struct Adversary {
    let role: HostileRole
    /// Indices of its nodes with an engine.
    var nodes: [Int]
    /// Indices of its puppets.
    let puppets: [Int]
    /// The number of dials to each honest node, by the node's index. The puppets dial in turn.
    var dials: [Int: Int] = [:]
    /// The number of moves so far.
    var move: UInt64 = 0
    /// The number of deltas written, or of forks proven.
    var counter: UInt64 = 0
    /// The messages of this move that all links receive alike.
    var shared: [PeerMessage] = []
    /// The logs that it writes, one for each key in use.
    var logs: [AdversaryLog] = []
    /// Deltas without predecessors anywhere: each receiver checks their signatures on every arrival.
    var gaps: [[UInt8]] = []

    /// The time between two moves, in nanoseconds.
    static let pause: UInt64 = 50_000_000
    /// The bytes in flight on a link at which the adversary waits: the capacity of a socket.
    static let windowBytes = 256 * 1024
    /// The maximum number of bytes for one link in one move.
    static let bytesMax = 128 * 1024
    /// The interval of keep-alive messages of a puppet that keeps its session, in nanoseconds.
    static let alivePause: UInt64 = 4_000_000_000

    /// The maximum number of messages for one link in one move, far more than any honest node sends. A higher bound
    /// would only make runs longer.
    var messagesMax: Int {
        switch role {
        case .unpricedQuestions: 6
        case .extremeNumbers: 6
        default: 1
        }
    }
    /// The number of moves after which a link is attacked again.
    var movesBetween: UInt64 { role == .headFlooder ? 10 : 1 }

    /// The number of sessions that it tries to keep with each honest node.
    var sessionsWanted: Int { role == .sessionHoarder ? 4 * puppets.count : min(puppets.count, 8) }
    /// The maximum number of dials to one honest node in one move.
    var dialsPerMove: Int { role == .sessionHoarder ? 5 : 1 }
}

/// A log that an adversary writes without a disk.
struct AdversaryLog {
    /// The index of its author.
    let author: Int
    let log: LogID
    var deltas: [VerifiedDelta] = []
}

/// A puppet's memory of a session.
struct PuppetSession {
    /// True after both sides have sent Hello.
    var isOpen = false
    /// The peer's last state. The puppet repeats it to look synchronized.
    var state: StateSummary?
    /// The time of its last message, in nanoseconds since the start.
    var saidAt: UInt64 = 0
}

extension Simulation {
    /// Makes a node and all puppets hostile from now on.
    func beginAttack(_ role: HostileRole, at nodeIndex: Int) {
        if adversary?.role == role {
            adversary?.nodes.append(nodeIndex)
            return
        }
        let isFirst = adversary == nil
        let puppets = nodes.filter(\.isPuppet)
        for puppet in puppets { puppet.role = role }
        adversary = Adversary(role: role, nodes: [nodeIndex], puppets: puppets.map(\.nodeIndex))
        if isFirst { schedule(after: 0, .attack) }
    }

    /// Ends the attack; the sessions stay open.
    package func endAttack() { adversary = nil }

    /// Makes one move: opens missing sessions, and sends as much on each session as its socket accepts.
    func attack() {
        guard adversary != nil else { return }
        schedule(after: Adversary.pause, .attack)
        adversary?.move += 1
        prepareMove()
        guard let adversary else { return }
        for victim in nodes where victim.role == nil && victim.isRunning {
            var puppetCount = 0
            for index in victim.connections where !network.connections[index].isBroken {
                let connection = network.connections[index]
                let side = connection[0].node == victim.nodeIndex ? 1 : 0
                let attacker = nodes[connection[side].node]
                guard attacker.role != nil else { continue }
                if attacker.isPuppet { puppetCount += 1 }
                guard connection[side].isUp else { continue }
                press(connection: index, side: side, by: attacker, on: victim)
            }
            guard !adversary.puppets.isEmpty else { continue }
            let lacking = adversary.sessionsWanted - puppetCount
            for _ in 0..<max(0, min(adversary.dialsPerMove, lacking)) { dial(victim, by: adversary.puppets) }
        }
    }

    private func dial(_ victim: VirtualNode, by puppets: [Int]) {
        let number = adversary?.dials[victim.nodeIndex, default: victim.nodeIndex] ?? 0
        adversary?.dials[victim.nodeIndex] = number + 1
        let from = puppets[number % puppets.count]
        let deadline = now + network.settings.dialTimeoutMilliseconds * 1_000_000
        schedule(
            after: network.delay(from: from, to: victim.nodeIndex),
            .dial(from: from, epoch: nodes[from].epoch, to: victim.nodeIndex, deadline: deadline)
        )
    }

    /// Sends the role's messages on a link as long as the socket accepts them.
    private func press(connection index: Int, side: Int, by attacker: VirtualNode, on victim: VirtualNode) {
        let connection = network.connections[index]
        if attacker.isPuppet {
            guard let session = connection[side].session, session.isOpen else { return }
            if isKeptAlive(attacker), session.saidAt + Adversary.alivePause <= now { stayAlive(index, side) }
        }
        guard let adversary, adversary.move % adversary.movesBetween == UInt64(index) % adversary.movesBetween else {
            return
        }
        var count = 0
        var bytes = 0
        while count < adversary.messagesMax, bytes < Adversary.bytesMax,
            connection[1 - side].outstandingBytes < Adversary.windowBytes
        {
            let messages = attackMessages(from: attacker, to: victim)
            guard !messages.isEmpty else { return }
            for message in messages {
                let byteCount = note(message)
                transmit(Parcel(message: message, byteCount: byteCount), connection: index, to: 1 - side)
                count += 1
                bytes += byteCount
            }
        }
    }

    // MARK: - Puppets

    /// Of a hoarder's puppets, some never send Hello, some send nothing after it, and some look alive.
    private func isKeptAlive(_ puppet: VirtualNode) -> Bool {
        puppet.role != .sessionHoarder || puppet.nodeIndex % 4 >= 2
    }
    private func saysHello(_ puppet: VirtualNode) -> Bool {
        puppet.role != .sessionHoarder || puppet.nodeIndex % 4 >= 1
    }

    /// Sends the messages that keep a session from looking idle: the peer's own state, and a comparison without any
    /// range.
    private func stayAlive(_ index: Int, _ side: Int) {
        guard let state = network.connections[index][side].session?.state else { return }
        network.connections[index][side].session?.saidAt = now
        say(.state(state, question: 0, answered: 0), index, side)
        say(.ranges([]), index, side)
    }

    private func say(_ message: PeerMessage, _ index: Int, _ side: Int) {
        let parcel = Parcel(message: message, byteCount: note(message))
        transmit(parcel, connection: index, to: 1 - side)
    }

    /// Handles a message at a puppet: it answers like a good neighbour, and forwards nothing.
    func hearAsPuppet(_ message: PeerMessage, on link: LinkID, at puppet: VirtualNode) {
        let (index, side) = (Network.connection(of: link), Network.side(of: link))
        guard puppet.role != nil, let session = network.connections[index][side].session else { return }
        switch message {
        case .hello(let hello):
            guard saysHello(puppet) else { return }
            network.connections[index][side].session?.isOpen = true
            network.connections[index][side].session?.state = hello.state
            network.connections[index][side].session?.saidAt = now
            var own = hello
            own.program = "puppet"
            say(puppet.role == .extremeNumbers ? extremeHello(own) : .hello(own), index, side)
            if isKeptAlive(puppet), puppet.role != .sessionHoarder || puppet.nodeIndex % 4 == 3 {
                say(.neighbour(isUrgent: true), index, side)
            }
        case .state(let state, let question, _):
            network.connections[index][side].session?.state = state
            if question != 0, session.isOpen, isKeptAlive(puppet) {
                say(.state(state, question: 0, answered: question), index, side)
            }
        case .neighbour:
            if session.isOpen, isKeptAlive(puppet) { say(.neighbourAnswer(isAccepted: true), index, side) }
        case .want(let range, let credit), .graft(let range?, let credit):
            serve(range, credit: credit, index, side)
        default: break
        }
    }

    private func extremeHello(_ hello: PeerMessage.Hello) -> PeerMessage {
        PeerMessage.hello(hello).withExtremeNumbers(using: &attackRandom)
    }

    /// Sends deltas that the adversary wrote itself, as far as the credit allows, but no deltas of others.
    private func serve(_ range: LogRange, credit: UInt64, _ index: Int, _ side: Int) {
        guard let log = adversary?.logs.first(where: { $0.log == range.log }) else { return }
        var deltas: [[UInt8]] = []
        var size: UInt64 = 0
        for delta in log.deltas where (range.from...max(range.from, range.to)).contains(delta.header.sequence) {
            size += UInt64(delta.byteCount)
            guard size <= min(credit, 1 << 20) else { break }
            deltas.append(delta.encoded())
        }
        if !deltas.isEmpty { say(.deltas(deltas), index, side) }
    }
}
