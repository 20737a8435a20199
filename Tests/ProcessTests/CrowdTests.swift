import Foundation
import Gossip
import PeerService
import Synchronization
import TestSupport
import Testing
import Wire

extension ProcessTests {
    /// Many connections at once by non-members, ticket holders and a member, at a node with 1,024 descriptors. The node
    /// continues to serve its members and its own user.
    struct CrowdTests {
        private let folder: TemporaryFolder
        private let node: HansaProcess

        init() throws {
            // Each connection of a test also needs a descriptor in this process.
            ConnectionLimits.raiseDescriptors()
            folder = try TemporaryFolder()
            node = HansaProcess(folder: folder("node"), runtime: folder.runtime)
            node.runWrapper = ["prlimit", "--nofile=1024:1024"]
            try node.found(organization: "Acme")
            #expect(try node.start())
        }

        private func member(_ name: String) throws -> HostileMember {
            let member = try HostileMember(ticket: node.ticket(), name: name)
            #expect(try member.join(port: node.port).map(\.refused) == [0])
            return member
        }

        /// Checks that a new node joins, synchronizes and is seen, and that local commands answer.
        private func expectService(_ name: String) throws {
            #expect(try node.command("status").seconds < 20)
            let newcomer = HansaProcess(folder: folder("newcomer-\(name)"), runtime: folder.runtime)
            let joined = try newcomer.join(node.ticket(), organization: name)
            #expect(joined.code == 0, "\(joined)")
            guard joined.code == 0 else { return }
            #expect(try newcomer.start())
            try newcomer.done("edit", "\(name)/need/x", "name=Steel", "--create")
            #expect(try eventually(seconds: 60) { try node.fields(of: "\(name)/need/x") != nil })
            #expect(newcomer.stop() == 0)
        }

        /// True if the session is open: the node has sent `Hello`.
        private func isServed(_ peer: HostilePeer) -> Bool {
            if case .hello? = try? peer.receive(seconds: 30) { true } else { false }
        }

        @Test(arguments: [false, true])
        func `a thousand silent connections by one ticket`(isUsed: Bool) throws {
            let ticket = try node.ticket()
            if isUsed { try HostileMember(ticket: ticket, name: "Bolt").join(port: node.port) }
            let identity = try HostileMember.identity(ofTicket: ticket)
            let before = try #require(node.residentBytes)
            let crowd = try (0..<1000).map { number in
                let peer = try HostilePeer(port: node.port, from: "127.0.\(1 + number / 100).\(1 + number % 100)")
                // Some connections are closed during the handshake to free slots.
                try? peer.shakeHands(as: identity)
                return peer
            }
            #expect(try eventually(seconds: 30) { try #require(node.descriptorCount) < 200 })
            #expect(try #require(node.residentBytes) - before < 64 << 20)
            #expect(crowd.count { !$0.hasBeenClosed(within: 0) } <= Authorizer.ticketConnectionsMax)
            try expectService("Crow")
            // A silent connection is closed.
            #expect(try #require(crowd.last).hasBeenClosed(within: 60))
        }

        @Test
        func `outsiders from six addresses that keep connecting and send nothing`() throws {
            let bolt = try member("Bolt")
            let nodes = try bolt.enrol(17, port: node.port)
            let before = try #require(node.residentBytes)
            let isOver = Mutex(false)
            let count = Mutex(0)
            let attack = DispatchGroup()
            for address in 1...6 {
                DispatchQueue(label: "outsider-\(address)").async(group: attack) { [port = node.port] in
                    // Some 120 connections per second; the oldest ones are dropped for new ones.
                    var held: [HostilePeer] = []
                    while !isOver.withLock({ $0 }) {
                        guard let peer = try? HostilePeer(port: port, from: "127.0.9.\(address)") else { continue }
                        count.withLock { $0 += 1 }
                        held.append(peer)
                        if held.count > 160 { held.removeFirst() }
                        usleep(8_000)
                    }
                }
            }
            defer {
                isOver.withLock { $0 = true }
                attack.wait()
            }
            #expect(eventually(seconds: 60) { count.withLock { $0 } > 1000 })
            for (number, one) in nodes.enumerated() {
                let peer = try bolt.session(port: node.port, as: one.identity, from: "127.0.8.\(1 + number)")
                #expect(isServed(peer), "member \(number)")
            }
            try expectService("Crow")
            #expect(try #require(node.residentBytes) - before < 96 << 20)
            #expect(try eventually(seconds: 30) { try #require(node.descriptorCount) < 1000 })
            // The log stays short: a few lines with an address each, and counts for the rest.
            #expect(node.logLines.count { $0.contains("] connection refused") } < 200)
            isOver.withLock { $0 = true }
            attack.wait()
            #expect(node.stop() == 0)
            #expect(node.logLines.contains { $0.contains("more connections refused") && $0.contains("127.0.9.") })
        }

        @Test
        func `five hundred sessions by one organization`() throws {
            let bolt = try member("Bolt")
            let nodes = try bolt.enrol(500, port: node.port)
            let before = try #require(node.residentBytes)
            var open: [HostilePeer] = []
            var refused = 0
            for (number, one) in nodes.enumerated() {
                let peer = try bolt.session(
                    port: node.port,
                    as: one.identity,
                    from: "127.0.\(1 + number / 100).\(1 + number % 100)"
                )
                switch try? peer.receive(seconds: 30) {
                case .hello: open.append(peer)
                case .refusal(let refusal):
                    #expect(refusal.code == SessionRefusal.tooManySessions.code, "\(refusal)")
                    refused += 1
                default: Issue.record("member \(number) is neither served nor refused")
                }
            }
            #expect((1...Authorizer.organizationConnectionsMax).contains(open.count), "\(open.count)")
            #expect(open.count + refused == 500)
            #expect(try #require(node.residentBytes) - before < 64 << 20)
            #expect(try eventually(seconds: 30) { try #require(node.descriptorCount) < 200 })
            try withExtendedLifetime(open) { try expectService("Crow") }
        }

        @Test
        func `sessions by many organizations leave room for one more`() throws {
            let before = try #require(node.residentBytes)
            var crowd: [HostilePeer] = []
            for organization in 1...30 {
                let member = try member("Member \(organization)")
                for (number, one) in try member.enrol(20, port: node.port).enumerated() {
                    crowd.append(
                        try member.session(
                            port: node.port,
                            as: one.identity,
                            from: "127.0.\(organization).\(1 + number)"
                        )
                    )
                }
            }
            let limits = ConnectionLimits(descriptors: 1024)
            try withExtendedLifetime(crowd) {
                #expect(try eventually(seconds: 30) { try #require(node.descriptorCount) < 1000 })
                #expect(crowd.count { !$0.hasBeenClosed(within: 0) } <= limits.members)
                try expectService("Crow")
            }
            #expect(try #require(node.residentBytes) - before < 300 << 20)
        }

        @Test
        func `frames that begin and do not end`() throws {
            let members = try (1...4).map { try member("Member \($0)") }
            let nodes = try members.map { try $0.enrol(15, port: node.port) }
            let before = try #require(node.residentBytes)
            let bytes = [UInt8](repeating: 0x3A, count: 4 * 1024 * 1024 - 100)
            var crowd: [HostilePeer] = []
            var most = 0
            for (member, nodes) in zip(members, nodes) {
                for one in nodes {
                    let peer = try member.session(port: node.port, as: one.identity)
                    // Some connections are closed during the send, because together they exceed the memory limit.
                    try? peer.send(frame: bytes, announced: bytes.count + 100)
                    crowd.append(peer)
                    most = max(most, try #require(node.residentBytes))
                }
            }
            #expect(most - before < 160 << 20, "\((most - before) >> 20) MiB")
            #expect(crowd.contains { $0.hasBeenClosed(within: 0) })
            try withExtendedLifetime(crowd) { try expectService("Crow") }
        }

        /// The node's processor share during this time.
        private func load(during seconds: Double) throws -> Double {
            let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
            func used() throws -> Double {
                let process = try #require(node.processIdentifier)
                let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
                // The program's name in parentheses may contain blanks; utime and stime are the 12th and 13th fields
                // after it.
                let fields = text[try #require(text.lastIndex(of: ")"))...].split(separator: " ")
                return try (#require(Double(fields[12])) + #require(Double(fields[13]))) / ticks
            }
            let before = try used()
            let begin = ContinuousClock.now
            usleep(UInt32(seconds * 1e6))
            return try (used() - before) / (begin.duration(to: .now) / .seconds(1))
        }

        @Test
        func `a node that gets no descriptor from the system waits for one instead of spinning`() throws {
            let process = try #require(node.processIdentifier)
            func allow(_ descriptors: Int) throws {
                let words = ["--pid", "\(process)", "--nofile=\(descriptors):1024"]
                #expect(try ChildProcess("prlimit", words, environment: node.environment).wait() == 0)
            }
            // The limit equals the number of open descriptors, so none is free.
            try allow(try #require(node.descriptorCount))
            let waiting = try (0..<40).map { _ in try HostilePeer(port: node.port) }
            #expect(waiting.allSatisfy { !$0.hasBeenClosed(within: 0) })
            #expect(try load(during: 3) < 0.5)
            try allow(1024)
            try withExtendedLifetime(waiting) { try expectService("Crow") }
        }
    }
}
