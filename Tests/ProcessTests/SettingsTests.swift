import Foundation
import Glibc
import TestSupport
import Testing

extension ProcessTests {
    /// Invalid addresses and settings: their messages and exit codes.
    struct SettingsTests {
        private let folder: TemporaryFolder
        private let node: HansaProcess

        init() throws {
            folder = try TemporaryFolder()
            node = HansaProcess(folder: folder("node"), runtime: folder.runtime)
        }

        private func expectPlain(_ outcome: CommandOutcome, code: Int32, _ words: String...) {
            #expect(outcome.code == code, "\(outcome)")
            for word in words { #expect(outcome.errors.contains(word), "\(word): \(outcome)") }
            for raw in ["Error", "errno", "SocketAddress", "addressNotAvailable", "IOError", "NIO"] {
                #expect(!outcome.errors.replacingOccurrences(of: "error:", with: "").contains(raw), "\(outcome)")
            }
        }

        @Test(arguments: ["0.0.0.0:4267", "[::]:4267", "127.0.0.1:0", "224.0.0.1:1", "255.255.255.255:1", "nonsense"])
        func `an address that nobody can dial is advertised by no command`(address: String) throws {
            let founding = ["init", "--alliance", "A", "--org", "Acme"]
            expectPlain(try node.command(founding + ["--advertise", address]), code: 2, address)
            #expect(!FileManager.default.fileExists(atPath: node.folder + "/directory.sqlite"))
            node.environment["HANSA_ADVERTISE"] = address
            expectPlain(try node.command(founding), code: 2, address)
            node.environment["HANSA_ADVERTISE"] = nil
            try node.found(organization: "Acme")
            expectPlain(try node.command("run", "--advertise", address), code: 2, address)
            #expect(try node.start())
            let newcomer = HansaProcess(folder: folder("newcomer"), runtime: folder.runtime)
            let joining = ["join", try node.ticket(), "--org", "Bolt", "--listen", "127.0.0.1:\(newcomer.port)"]
            expectPlain(try newcomer.command(joining + ["--advertise", address]), code: 2, address)
            #expect(try newcomer.command(joining).code == 0)
        }

        @Test
        func `all addresses and any port may be listened at, and are told to nobody`() throws {
            try node.done("init", "--alliance", "A", "--org", "Acme", "--listen", "0.0.0.0:\(node.port)")
            #expect(try node.start())
            #expect(try node.command("invite").code == 4)
            #expect(node.stop() == 0)
            node.runArguments = ["--listen", "127.0.0.1:0"]
            #expect(try node.start())
            let address = try node.done("status", "--json").json.node.address.string ?? ""
            #expect(address.hasPrefix("127.0.0.1:") && address != "127.0.0.1:0")
            #expect(try node.command("invite").code == 0)
        }

        @Test
        func `a ticket without an address that can be dialled is refused`() throws {
            try node.found(organization: "Acme")
            #expect(try node.start())
            let ticket = try node.ticket()
            for addresses in [["0.0.0.0:4267", "127.0.0.1:0"], []] {
                let newcomer = HansaProcess(folder: folder("newcomer"), runtime: folder.runtime)
                let outcome = try newcomer.join(TestTicket.with(addresses: addresses, ticket), organization: "Bolt")
                expectPlain(outcome, code: 2, "--advertise")
                #expect(outcome.seconds < 5)
            }
            // One dialable address is enough.
            let newcomer = HansaProcess(folder: folder("newcomer"), runtime: folder.runtime)
            let mixed = try TestTicket.with(addresses: ["0.0.0.0:4267", "127.0.0.1:\(node.port)"], ticket)
            #expect(try newcomer.join(mixed, organization: "Bolt").code == 0)
        }

        @Test
        func `a newcomer is told in plain words why nobody is reached`() throws {
            try node.found(organization: "Acme")
            #expect(try node.start())
            let ticket = try node.ticket()
            for (address, words) in [
                ("127.0.0.1:\(HansaProcess.freePort())", "nobody listens there"),
                ("no.such.name.invalid:4267", "the name has no address"),
            ] {
                let newcomer = HansaProcess(folder: folder("newcomer"), runtime: folder.runtime)
                let outcome = try newcomer.join(
                    TestTicket.with(addresses: [address], ticket),
                    organization: "Bolt"
                )
                expectPlain(outcome, code: 3, address, words)
            }
        }

        /// After a temporary cause, the node's exit code makes a service manager try again. An example is an address of
        /// a network that is not up yet at boot.
        @Test(arguments: [
            ("192.0.2.1:4267", 8, "does not have that address"), ("no.such.name.invalid:4267", 8, "has no address"),
            ("224.0.0.1:4267", 2, "multicast"),
        ])
        func `a node that cannot listen says why`(address: String, code: Int32, words: String) throws {
            try node.found(organization: "Acme")
            expectPlain(try node.command("run", "--listen", address), code: code, address, words)
        }

        @Test(arguments: [
            (#"{ "lsiten": "127.0.0.1:1" }"#, "did you mean \"listen\""),
            (#"{ "listen": "127.0.0.1:1", "advertised": [] }"#, "did you mean \"advertise\""),
            (#"{ "colour": "red" }"#, "\"colour\" is no setting"), (#"{ "listen": 4267 }"#, "\"listen\" is not a text"),
            (#"{ "listen": null }"#, "\"listen\" is not a text"),
            (#"{ "advertise": "127.0.0.1:1" }"#, "\"advertise\" is not a list of texts"),
            (#"{ "advertise": [4267] }"#, "\"advertise\" is not a list of texts"),
            (#"["127.0.0.1:1"]"#, "not a JSON object"), (#"{ "listen": "127.0.0.1:1" "#, "not a JSON object"),
            (#"{ "listen": "127.0.0.1" }"#, "is not HOST:PORT"), (#"{ "advertise": ["host:0"] }"#, "nobody can dial"),
        ])
        func `a setting that is none, or of another type, ends the start with its name`(
            text: String,
            words: String
        ) throws {
            try node.found(organization: "Acme")
            try Data(text.utf8).write(to: URL(fileURLWithPath: node.folder + "/config.json"))
            expectPlain(try node.command("run"), code: 2, words)
        }

        @Test
        func `a variable that resembles one of ours is a slip, any other is nobody's business`() throws {
            try node.found(organization: "Acme")
            node.environment["HANSA_LSITEN"] = "127.0.0.1:1"
            expectPlain(try node.command("run"), code: 2, "HANSA_LSITEN", "HANSA_LISTEN")
            node.environment["HANSA_LSITEN"] = nil
            node.environment["HANSA_ELSEWHERE_ENTIRELY"] = "x"
            #expect(try node.start())
        }
    }
}
