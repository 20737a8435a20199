import Foundation
import Glibc
import Simulator
import TestSupport
import Testing

extension ProcessTests {
    struct MembershipTests {
        @Test
        func `a used ticket is refused to another node, and accepted again from its user`() throws {
            let cluster = try Cluster("Acme")
            let ticket = try cluster[0].ticket()
            let first = cluster.node("first")
            #expect(try first.join(ticket, organization: "Bolt").code == 0)
            let identity = try first.status().node.id.string
            let outsider = cluster.node("outsider")
            let refused = try outsider.join(ticket, organization: "Crow")
            #expect(refused.code == 4, "\(refused)")
            #expect(try outsider.command("status").code == 2)

            // As after a kill between the answer's arrival and its storage: only the keys are present.
            for name in try FileManager.default.contentsOfDirectory(atPath: first.folder)
            where !name.hasSuffix(".key") {
                unlink(first.folder + "/" + name)
            }
            let again = try first.join(ticket, organization: "Bolt")
            #expect(again.code == 0, "\(again)")
            #expect(try first.status().node.id.string == identity)
            #expect(try first.start())
            #expect(try cluster.awaitAgreement(seconds: 60, [cluster[0], first]))
            #expect(try cluster[0].status().members.array.count == 2)
            #expect(try cluster[0].records() == 2)
        }

        @Test
        func `an expired ticket is refused by the newcomer's clock and by the sponsor's`() throws {
            let cluster = try Cluster("Acme")
            let ticket = try cluster[0].ticket("--expires", "1s")
            usleep(1_200_000)
            let newcomer = cluster.node("newcomer")
            #expect(try newcomer.join(ticket, organization: "Bolt").code == 4)
            // A newcomer with a slow clock asks, and the sponsor refuses.
            newcomer.environment["HANSA_TEST_CLOCK_AHEAD"] = "-3600"
            let refused = try newcomer.join(ticket, organization: "Bolt")
            #expect(refused.code == 4, "\(refused)")
            #expect(try cluster[0].status().members.array.count == 1)
        }

        @Test
        func `nobody is invited by a name that cannot be taken, or with a key that is another organization's`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            for (name, code) in [(" x", Int32(2)), ("a/b", 2), ("ACME", 4)] {
                let outcome = try cluster[0].command("invite", "--for", name)
                #expect(outcome.code == code, "\(name): \(outcome)")
            }
            let key = cluster[0].folder + "/organization.key"
            try FileManager.default.removeItem(atPath: key)
            try FileManager.default.copyItem(atPath: cluster[1].folder + "/organization.key", toPath: key)
            let outcome = try cluster[0].command("invite", "--own")
            #expect(outcome.code == 9 && outcome.errors.contains(key), "\(outcome)")
        }

        @Test
        func `a member's name is refused in every spelling`() throws {
            let cluster = try Cluster("Acme Öl")
            // Full-width letters, different case, and a letter with a separate combining mark.
            for name in ["ACME ÖL", "Ａｃｍｅ Öl", "acme O\u{308}l"] {
                let newcomer = cluster.node()
                let outcome = try newcomer.join(try cluster[0].ticket(), organization: name)
                #expect(outcome.code == 4, "\(name): \(outcome)")
                #expect(outcome.errors.contains("Acme Öl"))
            }
            #expect(try cluster[0].status().members.array.count == 1)
            let expected = try cluster[0].ticket("--for", "Bolt")
            #expect(try cluster.node().join(expected, organization: "Crow").code == 4)
            // Only the name was wrong.
            #expect(try cluster.node().join(try cluster[0].ticket(), organization: "Acme Öl II").code == 0)
        }

        @Test
        func `joining where no node runs ends after a while and says so`() throws {
            let cluster = try Cluster("Acme")
            let ticket = try cluster[0].ticket()
            #expect(cluster[0].stop() == 0)
            let newcomer = cluster.node("newcomer")
            let outcome = try newcomer.join(ticket, organization: "Bolt")
            #expect(outcome.code == 3)
            #expect((8...25).contains(outcome.seconds), "\(outcome)")
            // The same ticket works as soon as the node is back.
            #expect(try cluster[0].start())
            #expect(try newcomer.join(ticket, organization: "Bolt").code == 0)
        }

        @Test
        func `a node learned of only through the sponsor is connected to by everyone`() throws {
            let cluster = try Cluster("Acme", "Bolt", "Crow")
            func isConnectedToAll(_ node: HansaProcess) throws -> Bool {
                let peers = try node.done("peers", "--json").json.peers.array
                return peers.count == 2 && peers.allSatisfy { $0.connected.bool == true }
            }
            for node in cluster.nodes { #expect(try eventually(seconds: 60) { try isConnectedToAll(node) }) }
            // Without the sponsor, the two others still reach each other.
            #expect(cluster[0].stop() == 0)
            try cluster[1].done("edit", "Bolt/need/x", "name=Steel", "--create")
            #expect(try eventually(seconds: 60) { try cluster[2].fields(of: "Bolt/need/x") != nil })
        }

        @Test
        func `connections of outsiders are closed with one line each, and harm nothing`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let (node, port) = (cluster[0], cluster[0].port)
            // A node of a different alliance: a valid key, but not of this alliance.
            let foreign = cluster.node("foreign")
            try foreign.found(alliance: "Another", organization: "Crow")
            let (own, foreignCertificate) = (cluster.folder("own"), cluster.folder("foreign.crt"))
            try openssl(["genpkey", "-algorithm", "ed25519", "-out", own + ".key"])
            for (key, certificate) in [
                (own + ".key", own + ".crt"), (foreign.folder + "/node.key", foreignCertificate),
            ] {
                try openssl(
                    ["req", "-x509", "-new", "-key", key, "-out", certificate, "-subj", "/CN=node", "-days", "2"]
                )
            }
            let client = ["s_client", "-connect", "127.0.0.1:\(port)", "-alpn", "hansa/1", "-quiet"]
            let outsiders: [(what: String, words: [String])] = [
                ("of this alliance", client + ["-cert", own + ".crt", "-key", own + ".key"]),
                ("of this alliance", client + ["-cert", foreignCertificate, "-key", foreign.folder + "/node.key"]),
                ("no certificate", client), ("TLS 1.3", client + ["-tls1_2"]),
            ]
            for (what, words) in outsiders {
                let before = refusals(node)
                try openssl(words, mayFail: true)
                #expect(eventually(seconds: 20) { refusals(node).count > before.count }, "\(what)")
                #expect(refusals(node).count == before.count + 1)
                #expect(refusals(node).last?.contains(what) == true, "\(refusals(node).last ?? "")")
            }
            let before = refusals(node)
            try sendGarbage(to: port)
            #expect(eventually(seconds: 20) { refusals(node).count == before.count + 1 })
            #expect(refusals(node).last?.contains("not TLS") == true, "\(refusals(node).last ?? "")")

            #expect(try node.done("peers", "--json").json.counters.handshakesFailed.int == outsiders.count + 1)
            #expect(try node.status().members.array.count == 2)
            try cluster[1].done("edit", "Bolt/need/x", "name=Steel", "--create")
            #expect(try cluster.awaitAgreement())
            #expect(try eventually(seconds: 30) { try node.isInStep() })
        }

        private func refusals(_ node: HansaProcess) -> [Substring] {
            node.logLines.filter { $0.contains("connection refused") }
        }

        private func openssl(_ words: [String], mayFail: Bool = false) throws {
            let process = try ChildProcess("openssl", words, environment: ["PATH": "/usr/bin:/bin"])
            let code = process.wait(seconds: 30)
            if !mayFail { #expect(code == 0, "openssl \(words)") }
        }

        private func sendGarbage(to port: Int) throws {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let code = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            #expect(code == 0)
            var random = SplitMix64(seed: 1)
            let bytes = random.bytes(4096)
            _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            // Until the node closes the connection.
            var buffer = [UInt8](repeating: 0, count: 256)
            while recv(descriptor, &buffer, buffer.count, 0) > 0 {}
        }
    }
}
