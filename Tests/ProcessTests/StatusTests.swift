import Foundation
import GRDBSQLite
import Glibc
import TestSupport
import Testing

extension ProcessTests {
    /// Status and commands with an obstacle: they name it and end.
    struct StatusTests {
        /// The maximum duration of a command on an unresponsive node, in seconds.
        private static let answerSecondsMax = 12.0

        /// Another program's lock on a node's database; this process holds it until `end()`.
        private final class ForeignLock {
            private var database: OpaquePointer?

            init(on node: HansaProcess) throws {
                let path = node.folder + "/directory.sqlite"
                try #require(sqlite3_open(path, &database) == SQLITE_OK)
                sqlite3_busy_timeout(database, 30_000)
                try #require(sqlite3_exec(database, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK)
            }

            func end() {
                sqlite3_close(database)
                database = nil
            }

            deinit { end() }
        }

        @Test
        func `a node that is frozen is said not to answer, by every command and within ten seconds of its silence`()
            throws
        {
            let cluster = try Cluster("Acme", "Bolt")
            let node = cluster[0]
            try node.done("edit", "Acme/need/x", "name=one", "--create")
            let file = try cluster.folder.file("t.csv", "id,name\nA,one\n")
            let process = try #require(node.processIdentifier)
            #expect(kill(process, SIGSTOP) == 0)
            defer { kill(process, SIGCONT) }
            let commands: [[String]] = [
                ["status"], ["status", "--check"], ["peers"], ["topology"], ["members"], ["diff", "Bolt"], ["verify"],
                ["verify", "--deep"], ["import", file, "--kind", "need", "--key", "id"],
                ["export", "--kind", "need", "--format", "csv"], ["search", "one"], ["get", "Acme/need/x"],
                ["edit", "Acme/need/x", "name=two"], ["delete", "Acme/need/x"], ["log"], ["why", "Acme/need/x"],
                ["conflicts"], ["settle", "Acme/need/x", "name", "one"], ["invite"], ["invite", "--own"],
            ]
            // All at once, because each takes a while.
            let begin = ContinuousClock.now
            let running = try commands.map { words in
                let output = cluster.folder("answer-\(words.joined(separator: "-").filter(\.isLetter))-\(words.count)")
                return (words, output, try node.begin(words, output: output))
            }
            for (words, output, command) in running {
                #expect(command.wait(seconds: 60) == 3, "\(words)")
                let said = String(decoding: FileManager.default.contents(atPath: output) ?? Data(), as: UTF8.self)
                #expect(said.hasPrefix("hansa: the node (process \(process)) does not answer"), "\(words): \(said)")
            }
            // Twenty programs start at the same time on a small machine.
            #expect(begin.duration(to: .now) < .seconds(2 * Self.answerSecondsMax))
            let alone = try node.command("status", "--json")
            #expect(alone.code == 3)
            #expect(alone.seconds < Self.answerSecondsMax)
            let silence = JSONTree(Data(alone.errors.utf8)).error
            #expect(silence.code.int == 3 && silence.reason.string == "node-silent")

            // A second `run` on the folder learns at once that it is in use.
            #expect(try node.command("run").code == 8)
            kill(process, SIGCONT)
            #expect(try eventually(seconds: 60) { try node.command("status").code == 0 })
            #expect(try node.fields(of: "Acme/need/x") != nil || node.command("get", "Acme/need/x").code == 1)
        }

        @Test
        func `work that takes longer than a node may be silent is not cut off`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let node = cluster[0]
            #expect(try eventually(seconds: 60) { try node.isInStep() })
            // This node waits for a silent peer, and reports that it waits.
            let peer = try #require(cluster[1].processIdentifier)
            #expect(kill(peer, SIGSTOP) == 0)
            let outcome = try node.command("diff", "Bolt")
            kill(peer, SIGCONT)
            #expect(outcome.code == 3)
            #expect(outcome.seconds > Self.answerSecondsMax)
            // Not for as long as an answer of a talking node may take.
            #expect(outcome.seconds < 60)
            #expect(outcome.errors.hasPrefix("hansa: Bolt "))
            #expect(!outcome.errors.contains("process"))

            // A slowly read pipe can delay an export without limit: no client waits between pages.
            let rows = (1...20_000).map { "R\($0),name \($0),\(String(repeating: "x", count: 300))" }
            let file = try cluster.folder.file("t.csv", "id,name,note\n" + rows.joined(separator: "\n") + "\n")
            try node.done("import", file, "--kind", "need", "--key", "id")
            let export = "'\(HansaProcess.program)' export --data '\(node.folder)' --kind need --format csv"
            let slow = try ChildProcess(
                "bash",
                ["-c", "\(export) | (sleep 12; wc -l); exit ${PIPESTATUS[0]}"],
                environment: ["XDG_RUNTIME_DIR": cluster.folder.runtime, "PATH": "/usr/bin:/bin"],
                output: cluster.folder("count")
            )
            #expect(slow.wait(seconds: 120) == 0)
            let count = try String(contentsOfFile: cluster.folder("count"), encoding: .utf8)
            #expect(Int(count.trimmingCharacters(in: .whitespacesAndNewlines)) == 20_001)
        }

        @Test
        func `behind a relay that swallows bytes nobody is said to be in step`() throws {
            let cluster = try Cluster()
            let (first, second) = (cluster.node("first"), cluster.node("second"))
            let relays = [try Relay(to: first.port), try Relay(to: second.port)]
            // Keeps the relays alive until the nodes have met through them again.
            defer { for relay in relays { relay.end() } }
            first.runArguments = ["--advertise", "127.0.0.1:\(relays[0].port)"]
            second.runArguments = ["--advertise", "127.0.0.1:\(relays[1].port)"]
            try first.found(organization: "Acme")
            #expect(try first.start())
            // Only the relays' addresses are ever announced.
            let listening = ["--listen", "127.0.0.1:\(second.port)"] + second.runArguments
            try second.done(["join", first.ticket(), "--org", "Bolt"] + listening)
            #expect(try second.start())
            for node in [first, second] { #expect(try eventually(seconds: 60) { try node.isInStep() }) }

            for relay in relays { relay.swallow() }
            let begin = ContinuousClock.now
            for node in [first, second] {
                #expect(try eventually(seconds: 60) { try node.command("status", "--check").code == 10 })
            }
            #expect(begin.duration(to: .now) < .seconds(25))
            // The status names the silence, and does not present earlier facts as current.
            for node in [first, second] {
                let other = try node.status().members.array.flatMap(\.nodes.array).first { $0.state != .text("self") }
                #expect(["silent", "unreachable"].contains(other?.state.string ?? ""))
                #expect(other?.behindBy == .null)
            }
            for relay in relays { relay.passOn() }
            for node in [first, second] { #expect(try eventually(seconds: 120) { try node.isInStep() }) }
        }

        @Test
        func `another program's lock is named and waited for, and nothing is lost`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let (held, free) = (cluster[0], cluster[1])
            #expect(try eventually(seconds: 60) { try held.isInStep() })
            var lock: ForeignLock? = try ForeignLock(on: held)
            // An idle node notices by itself.
            #expect(try eventually(seconds: 30) { try held.command("status", "--check").code == 10 })
            let seen = try held.done("status").output
            #expect(seen.contains("! another program, process \(getpid()) ("))
            #expect(seen.contains("has held a lock on \(held.folder)/directory.sqlite for "))
            #expect(try held.status().storage.lockedSeconds.double ?? 0 > 0)

            // Writes of other nodes wait longer than any single attempt.
            try free.done("edit", "Bolt/need/x", "name=waits", "--create")
            #expect(
                try eventually(seconds: 30) {
                    try held.status().members.array.flatMap(\.nodes.array).contains { $0.state == .text("ahead") }
                }
            )
            sleep(7)
            #expect(held.processIdentifier != nil)
            #expect(try held.records() == 2)
            // Local writes are refused with a code and a message to try again; reads continue.
            let begin = ContinuousClock.now
            let refused = try held.command("edit", "Acme/need/y", "name=y", "--create")
            #expect(refused.code == 8)
            #expect(refused.errors.contains("another program holds a lock"))
            #expect(refused.errors.contains("try again"))
            #expect(begin.duration(to: .now) < .seconds(15))
            #expect(try held.command("search", "Bolt").code == 0)
            #expect(held.logLines.contains { $0.contains("another program holds a lock on the database") })

            lock?.end()
            lock = nil
            #expect(try cluster.awaitAgreement(seconds: 60))
            #expect(try eventually(seconds: 30) { try held.isInStep() })
            #expect(try held.fields(of: "Bolt/need/x")?["name/und"] == .text("waits"))
            #expect(try held.command("get", "Acme/need/y").code == 1)
            try held.done("edit", "Acme/need/y", "name=y", "--create")
            #expect(try held.done("verify", "--deep", "--json").json.sound.bool == true)
        }

        @Test
        func `a node that is stopped while a lock holds it up ends in order`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let (held, free) = (cluster[0], cluster[1])
            let lock = try ForeignLock(on: held)
            try free.done("edit", "Bolt/need/x", "name=waits", "--create")
            #expect(try eventually(seconds: 30) { try held.status().storage.lockedSeconds != .null })
            let begin = ContinuousClock.now
            #expect(held.stop() == 0)
            #expect(begin.duration(to: .now) < .seconds(5))
            // A command on the folder itself also has a time limit.
            let refused = try held.command("edit", "Acme/need/y", "name=y", "--create")
            #expect(refused.code == 8)
            #expect(refused.seconds < Self.answerSecondsMax)
            lock.end()
            #expect(try held.start())
            #expect(try cluster.awaitAgreement(seconds: 60))
        }

        @Test(.enabled(if: SmallDisk(megabytes: 1) != nil, "mounting a small file system is not permitted here"))
        func `a disk without room fails the check until there is room and something was written`() throws {
            let disk = try #require(SmallDisk(megabytes: 200))
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: disk.path + "/node", runtime: folder.runtime)
            try node.found(organization: "Acme")
            #expect(try node.start())
            #expect(try node.isInStep())
            #expect(try node.status().alarms == .list([]))

            #expect(disk.fill())
            // Low disk space is reported before any write fails.
            let short = try node.command("status", "--check")
            #expect(short.code == 10)
            #expect(short.output.contains("! only 0.0 MB are free for \(node.folder)"))
            let rows = (1...3_000).map { "R\($0),name \($0),\(String(repeating: "x", count: 200))" }
            let file = try folder.file("t.csv", "id,name,note\n" + rows.joined(separator: "\n") + "\n")
            // An import is refused before it writes: its file's copy has no room.
            let load = ["import", file, "--kind", "need", "--key", "id"]
            #expect(try node.command(load).code == 6)
            #expect(try node.status().storage.writeFailure == .null)
            let long = String(repeating: "x", count: 60_000)
            #expect(try node.command("edit", "Acme/need/x", "name=\(long)", "--create").code == 6)
            let failed = try node.command("status", "--check")
            #expect(failed.code == 10)
            #expect(failed.output.contains("! the last write failed "))
            #expect(failed.output.contains("no room left on the disk"))
            #expect(try node.status().storage.writeFailure != .null)

            #expect(disk.remount("size=200m"))
            // The node retries by itself.
            #expect(try eventually(seconds: 30) { try node.command("status", "--check").code == 0 })
            #expect(try node.status().storage.writeFailure == .null)
            try node.done(load)
        }

        @Test
        func `why a node was not reached is told, and when`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            #expect(try eventually(seconds: 60) { try cluster[0].isInStep() })
            #expect(try cluster[0].status().members[1].nodes[0].lastFailure == .null)
            #expect(cluster[1].stop() == 0)
            #expect(
                try eventually(seconds: 60) {
                    try cluster[0].status().members.array.flatMap(\.nodes.array).contains { $0.lastFailure != .null }
                }
            )
            let failure = try cluster[0].status().members.array.flatMap(\.nodes.array).map(\.lastFailure)
                .first { $0 != .null }
            #expect(failure?.reason.string?.contains("127.0.0.1:\(cluster[1].port)") == true)
            #expect((0...60).contains(failure?.secondsAgo.double ?? -1))
            let peers = try cluster[0].done("peers").output
            #expect(peers.contains("Bolt (node "))
            #expect(peers.contains("was not reached"))
            #expect(try cluster[0].done("peers", "--json").json.peers[0].lastFailure.reason != .null)
            #expect(try cluster[1].start())
            #expect(try eventually(seconds: 60) { try cluster[0].isInStep() })
            #expect(try cluster[0].status().members[1].nodes[0].lastFailure == .null)
        }

        @Test
        func `a clock that is decades behind is found on both sides`() throws {
            let cluster = try Cluster("Acme", "Bolt", "Crow")
            #expect(try cluster.awaitAgreement())
            let (good, bad) = (cluster[0], cluster[2])
            #expect(bad.stop() == 0)
            // Some 25 years.
            bad.environment["HANSA_TEST_CLOCK_AHEAD"] = "-788400000"
            #expect(try bad.start())
            func says(_ node: HansaProcess, _ text: String) throws -> Bool {
                try eventually(seconds: 90) { try node.done("status").output.contains(text) }
            }
            #expect(try says(good, "the clock of Crow is 25 years behind"))
            #expect(try says(bad, "this machine's clock is 25 years behind"))
            let seen = try bad.done("status").output
            let references = ["those of 2 of 2 other nodes", "the time at which this node has last written"]
            #expect(references.contains { seen.contains($0) })
            #expect(!seen.contains("the clock of Acme"))
            let reason = try eventually(seconds: 60) {
                try good.done("peers").output.contains("its clock is 25 years behind this machine's")
                    || bad.done("peers").output.contains("its clock is 25 years ahead of this machine's")
            }
            #expect(reason)
            let clocks = try good.status().members.array.flatMap(\.nodes.array).map { $0.clockAheadSeconds.double ?? 0 }
            #expect(clocks.contains { $0 < -7e8 })
        }
    }

    /// Deleted records: every command reports the deletion.
    struct DeletedRecordTests {
        @Test
        func `a deleted record is said to be one, with who deleted it and when`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let node = cluster[0]
            let id = try #require(
                try node.done("edit", "Acme/need/x", "name=Old crane", "--create", "--json").json.id.string
            )
            try node.done("delete", "Acme/need/x")
            #expect(try cluster.awaitAgreement())
            for place in cluster.nodes {
                for name in ["Acme/need/x", id, String(id.prefix(12))] {
                    let answer = try place.command("get", name)
                    #expect(answer.code == 1)
                    #expect(answer.output.isEmpty)
                    #expect(answer.errors.contains("'Old crane' was deleted on 2"))
                    #expect(answer.errors.contains(" UTC by Acme; "))
                }
                let json = try place.command("get", id, "--json")
                #expect(json.code == 1)
                #expect(JSONTree(Data(json.errors.utf8)).error.message.string?.contains("was deleted on") == true)
                let history = try place.done("why", id).output
                #expect(history.contains("'Old crane' was deleted on 2"))
                #expect(try place.done("why", id, "--json").json.deletion.string?.contains("by Acme") == true)
            }
            for words in [["edit", id, "name=new"], ["settle", id, "name", "new"], ["settle", id, "deleted", "yes"]] {
                let answer = try node.command(words)
                #expect(answer.code == 1, "\(words)")
                #expect(answer.errors.contains("deleted"), "\(words)")
            }
            #expect(try node.done("delete", id).output.contains("unchanged: Old crane"))
            #expect(try !node.done("export", "--kind", "need", "--format", "jsonl").output.contains("Old crane"))
            #expect(try node.done("search", "crane").output.contains("nothing found"))
            try node.done("edit", "Acme/need/x", "name=New crane", "--create")
            #expect(try node.done("get", id).output.contains("New crane"))
        }
    }

    /// Text of authors reaches a terminal as plain text.
    struct HostileTextTests {
        private static let forged = "x\u{1B}[2J\u{9B}31m\nhansa: all is well\u{202E}"

        @Test
        func `no command passes on what steers a terminal`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let (author, reader) = (cluster[0], cluster[1])
            let words = ["name=\(Self.forged)", "ext/\(Self.forged)=\(Self.forged)"]
            try author.done(["edit", "Acme/need/\(Self.forged)"] + words + ["--create"])
            let id = try #require(
                try author.done("edit", "Acme/need/y", "name=\(Self.forged) crane", "--create", "--json").json.id.string
            )
            #expect(try cluster.awaitAgreement())
            let digits = try author.done("search", "crane", "--json").json.hits[0].id.string
            #expect(digits == id)
            let outcomes = try [
                ["get", id], ["get", id, "--json"], ["search", "crane"], ["search", "crane", "--json"], ["why", id],
                ["why", id, "--json"], ["get", "Acme/need/\(Self.forged)"], ["get", "Acme/need/\(Self.forged)?"],
                ["get", Self.forged], ["search", Self.forged], ["search", "x", "--owner", Self.forged],
                ["export", "--kind", Self.forged, "--format", "csv"], ["edit", id, "name=\(Self.forged)"],
                ["get", id, "--\(Self.forged)"], ["log", "--author", Self.forged], ["status"], ["members"],
            ].map { words in (words, try reader.command(words)) }
            for (words, outcome) in outcomes {
                let said = outcome.output + outcome.errors
                for scalar in said.unicodeScalars where scalar != "\n" {
                    let category = scalar.properties.generalCategory
                    #expect(![.control, .format, .lineSeparator].contains(category), "\(words): \(scalar.value)")
                }
                #expect(!said.contains("\nhansa: all is well"), "\(words)")
            }
            // The same holds for a running node's log.
            let log = reader.logLines.joined(separator: "\n")
            #expect(!log.contains("\u{1B}") && !log.contains("\u{9B}"))
        }

        @Test
        func `counts of an ended session are not told once something was written since`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            #expect(try cluster.awaitAgreement())
            cluster[1].kill()
            func peer() throws -> JSONTree {
                try #require(try cluster[0].status().members.array.first { $0.organization.string == "Bolt" }).nodes
                    .array[0]
            }
            #expect(try eventually(seconds: 60) { try peer().state.string == "unreachable" })
            for number in 1...3 {
                try cluster[0].done("edit", "Acme/need/n\(number)", "name=Steel", "--create")
            }
            #expect(try peer().aheadBy == .null && peer().behindBy == .null)
        }
    }
}
