import Catalog
import DeltaLog
import Gossip

/// The program of a hostile organization: it uses all node keys that the organization has enrolled. Those without an
/// engine are its puppets. It knows what everybody holds, and spares no effort.
struct Adversary {
    let role: HostileRole
    /// Places of its nodes with an engine.
    var nodes: [Int]
    /// Places of its puppets.
    let puppets: [Int]
    /// How many dials were made to each honest node, by its place; the next puppet in turn makes the next one.
    var dials: [Int: Int] = [:]
    /// Counts moves.
    var move: UInt64 = 0
    /// Counts deltas written, or forks proven.
    var counter: UInt64 = 0
    /// What is said on all links in this move, where all hear the same.
    var shared: [PeerMessage] = []
    /// Logs that it writes, one for each key in use.
    var logs: [AdversaryLog] = []
    /// Deltas whose predecessors nobody has: their signatures are checked each time that they come.
    var gaps: [[UInt8]] = []

    /// Between two moves, in nanoseconds.
    static let pause: UInt64 = 50_000_000
    /// Bytes under way on a link beyond which the adversary waits: what a socket takes.
    static let windowBytes = 256 * 1024
    /// Bytes for one link in one move.
    static let bytesMax = 128 * 1024
    /// How often a puppet that keeps its session says something.
    static let alivePause: UInt64 = 4_000_000_000

    /// Messages for one link in one move; far more than any honest node sends. More would only make runs longer.
    var messagesMax: Int {
        switch role {
        case .unpricedQuestions: 6
        case .extremeNumbers: 6
        default: 1
        }
    }
    /// Moves from one time that a link is pressed to the next.
    var movesBetween: UInt64 { role == .headFlooder ? 10 : 1 }

    /// Sessions that are wanted with each honest node.
    var sessionsWanted: Int { role == .sessionHoarder ? 4 * puppets.count : min(puppets.count, 8) }
    /// Dials to one honest node in one move.
    var dialsPerMove: Int { role == .sessionHoarder ? 5 : 1 }
}

/// A log that an adversary writes without a disk.
struct AdversaryLog {
    /// The place of its author.
    let author: Int
    let log: LogID
    var deltas: [VerifiedDelta] = []
}

/// What a puppet remembers of a session.
struct PuppetSession {
    /// True once both have said Hello.
    var isOpen = false
    /// The peer's last state; the puppet says the same, so that it seems to be in step.
    var state: StateSummary?
    /// When it last said something.
    var saidAt: UInt64 = 0
}

extension Simulation {
    /// Lets an adversary use a node, and all puppets, from now on.
    func beginAttack(_ role: HostileRole, at place: Int) {
        if adversary?.role == role {
            adversary?.nodes.append(place)
            return
        }
        let isFirst = adversary == nil
        let puppets = nodes.filter(\.isPuppet)
        for puppet in puppets { puppet.role = role }
        adversary = Adversary(role: role, nodes: [place], puppets: puppets.map(\.place))
        if isFirst { schedule(after: 0, .attack) }
    }

    /// Ends the attack; the sessions stay open.
    package func endAttack() { adversary = nil }

    /// One move: more sessions where some are lacking, and on each as much as it takes.
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
                let side = connection[0].node == victim.place ? 1 : 0
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
        let number = adversary?.dials[victim.place, default: victim.place] ?? 0
        adversary?.dials[victim.place] = number + 1
        let from = puppets[number % puppets.count]
        let deadline = now + network.settings.dialTimeoutMilliseconds * 1_000_000
        schedule(
            after: network.delay(from: from, to: victim.place),
            .dial(from: from, epoch: nodes[from].epoch, to: victim.place, deadline: deadline)
        )
    }

    /// Sends on a link what the role gives, as long as the socket takes it.
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

    /// Of a hoarder's puppets some never say Hello, some say nothing after it, and some seem to be alive.
    private func isKeptAlive(_ puppet: VirtualNode) -> Bool { puppet.role != .sessionHoarder || puppet.place % 4 >= 2 }
    private func saysHello(_ puppet: VirtualNode) -> Bool { puppet.role != .sessionHoarder || puppet.place % 4 >= 1 }

    /// What keeps a session from being taken for idle: a state as the peer's, and a comparison without any range.
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

    /// A puppet hears a message: it answers so as to be taken for a good neighbour, and passes nothing on.
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
            if isKeptAlive(puppet), puppet.role != .sessionHoarder || puppet.place % 4 == 3 {
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

    /// Gives deltas that the adversary wrote itself, as far as credit goes; nothing of others.
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
