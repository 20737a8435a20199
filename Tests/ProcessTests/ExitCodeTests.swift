import Foundation
import Glibc
import TestSupport
import Testing

extension ProcessTests {
    /// Every exit code with the situation that causes it.
    struct ExitCodeTests {
        @Test(
            arguments: [
                ["frobnicate"], ["status", "--nonsense"], ["import"], ["import", "x.csv", "--kind", "need"],
                ["import", "/nowhere.csv", "--kind", "need", "--key", "id"], ["get"],
                ["edit", "Acme/need/x", "nothing"],
                ["edit", "Acme/nonsense/x", "a=b", "--create"], ["export", "--kind", "need", "--format", "pdf"],
                ["invite", "--expires", "soon"], ["join", "hansa1damaged", "--org", "X"], ["log", "--limit", "0"],
                ["get", "no id at all"],
            ]
        )
        func `what is said wrongly is a usage error`(words: [String]) throws {
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: folder("node"), runtime: folder.runtime)
            try node.found(organization: "Acme")
            let outcome = try node.command(words)
            #expect(outcome.code == 2, "\(words): \(outcome)")
            #expect(outcome.output.isEmpty && outcome.errors.hasPrefix("hansa: "))
            #expect(outcome.errors.split(separator: "\n").allSatisfy { !$0.contains("Error Domain") })
        }

        @Test
        func `without a node, a passphrase or a terminal nothing is waited for`() throws {
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: folder("node"), runtime: folder.runtime)
            for words in [["status"], ["run"], ["search", "x"], ["invite"]] {
                let outcome = try node.command(words)
                #expect(outcome.code == 2, "\(words): \(outcome)")
                #expect(outcome.errors.contains("hansa init"))
            }
            node.environment["HANSA_PASSPHRASE"] = ""
            let founding = try node.command("init", "--alliance", "A", "--org", "Acme")
            #expect(founding.code == 2)
            #expect(founding.errors.contains("passphrase"))
            #expect(founding.seconds < 5)
            #expect(try node.command("status").code == 2)
        }

        @Test
        func `a wrong passphrase is told from everything else`() throws {
            let cluster = try Cluster("Acme")
            cluster[0].environment["HANSA_PASSPHRASE"] = "another"
            let outcome = try cluster[0].command("invite", "--own")
            #expect(outcome.code == 9, "\(outcome)")
            #expect(try cluster[0].command("invite").code == 0)
        }

        @Test
        func `a folder and a port belong to one node at a time`() throws {
            let cluster = try Cluster("Acme")
            let second = try cluster[0].command("run")
            #expect(second.code == 8, "\(second)")
            #expect(second.seconds < 10)
            #expect(try cluster[0].command("init", "--alliance", "A", "--org", "B").code == 8)
            let other = cluster.node("other")
            try other.found(organization: "Bolt")
            let taken = try other.command("run", "--listen", "127.0.0.1:\(cluster[0].port)")
            #expect(taken.code == 8, "\(taken)")
            #expect(taken.errors.contains("\(cluster[0].port)"))
            #expect(try cluster[0].status().running.bool == true)
        }

        @Test
        func `being out of step and what needs a running node have codes of their own`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            #expect(try eventually(seconds: 30) { try cluster[0].isInStep() })
            #expect(cluster[1].stop() == 0)
            try cluster[0].done("edit", "Acme/need/x", "name=x", "--create")
            #expect(try cluster[0].command("status", "--check").code == 10)
            #expect(try cluster[0].command("status").code == 0)
            #expect(try cluster[0].command("diff", "Bolt").code == 3)
            #expect(try cluster[1].command("diff", "Acme").code == 3)
            #expect(try cluster[1].command("status", "--check").code == 10)

            let file = try cluster.folder.file("t.csv", "id,name\nA,one\n")
            let load = ["import", file, "--kind", "need", "--key", "id"]
            let before = try cluster[0].sequences()
            #expect(try cluster[0].command(load + ["--dry-run"]).code == 10)
            #expect(try cluster[0].sequences() == before)
            try cluster[0].done(load)
            #expect(try cluster[0].command(load + ["--dry-run"]).code == 0)
        }

        @Test
        func `a command whose node is killed ends at once and never goes on by the folder`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let rows = (1...60_000).map { "R\($0),name \($0)" }.joined(separator: "\n")
            let file = try cluster.folder.file("large.csv", "id,name\n\(rows)\n")
            let before = try node.sequences()
            let load = try node.begin(["import", file, "--kind", "need", "--key", "id"])
            // After the first rows are stored, the import is in progress.
            #expect(try eventually(seconds: 60) { try node.sequences() != before })
            node.kill()
            let killed = ContinuousClock.now
            #expect(load.wait(seconds: 20) == 3)
            #expect(killed.duration(to: .now) < .seconds(5))
            let held = try node.records()
            #expect(held > 1 && held < 60_001)
            usleep(300_000)
            #expect(try node.records() == held)

            // A socket and a lock left by the kill do not prevent a start, and neither does an invalid lock.
            try Data("999999\nnonsense".utf8).write(to: URL(fileURLWithPath: node.folder + "/lock"))
            try node.done("edit", "Acme/need/R1", "name=offline")
            #expect(try node.start())
            try node.done("import", file, "--kind", "need", "--key", "id")
            #expect(try node.records() == 60_001)
            #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
        }

        @Test(arguments: [false, true])
        func `asked to stop, the node ends in time and in order`(isImporting: Bool) throws {
            let cluster = try Cluster("Acme", "Bolt")
            let node = cluster[0]
            var load: ChildProcess?
            if isImporting {
                let rows = (1...60_000).map { "R\($0),name \($0)" }.joined(separator: "\n")
                let file = try cluster.folder.file("large.csv", "id,name\n\(rows)\n")
                let before = try node.sequences()
                load = try node.begin(["import", file, "--kind", "need", "--key", "id"])
                #expect(try eventually(seconds: 60) { try node.sequences() != before })
            }
            let begin = ContinuousClock.now
            #expect(node.stop() == 0)
            #expect(begin.duration(to: .now) < .seconds(5))
            if let load { #expect([0, 3].contains(load.wait(seconds: 20))) }
            #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
            #expect(try node.start())
        }
    }
}
