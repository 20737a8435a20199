import Foundation
import Glibc
import TestSupport
import Testing

extension ProcessTests {
    /// Imports whose file goes over the socket, and what commands tell of themselves.
    struct UploadTests {
        private static let load = ["--kind", "need", "--key", "id"]

        private static func head(_ operation: String, _ framing: String) -> String {
            "POST /v0/\(operation) HTTP/1.1\r\nHost: hansa\r\nConnection: close\r\n\(framing)\r\n\r\n"
        }

        private static func command(called name: String) -> String {
            #"{"columns":[],"displayName":"\#(name)","format":"csv","isDryRun":false,"key":"id","kind":"need"}"# + "\n"
        }

        private func spool(of node: HansaProcess) -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: node.folder + "/spool")) ?? []
        }

        @Test
        func `a request loads the rows that come with it, whatever file of the machine it is called after`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let secret = try cluster.folder.file("secret.csv", "id,name\nS,secret\n")
            let body = Self.command(called: secret) + "id,name\nB,body\n"
            let connection = try #require(LocalSocket(path: try LocalSocket.path(of: node)))
            connection.write(Self.head("import", "Content-Length: \(body.utf8.count)") + body)
            let answer = connection.readAll()
            #expect(answer.hasPrefix("HTTP/1.1 200") && answer.contains("\"created\":1"), "\(answer)")
            #expect(answer.contains("{\"end\":true}"))
            #expect(try node.fields(of: "Acme/need/B") != nil)
            #expect(try node.command("get", "Acme/need/S").code == 1)
        }

        @Test(arguments: ["Content-Length: 100000", "Transfer-Encoding: chunked"])
        func `a file whose sender goes away is not loaded in part`(framing: String) throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            do {
                let connection = try #require(LocalSocket(path: try LocalSocket.path(of: node)))
                let body = Self.command(called: "t.csv") + "id,name\nA,a\nB,b\n"
                let isChunked = framing.hasSuffix("chunked")
                connection.write(
                    Self.head("import", framing)
                        + (isChunked ? "\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n" : body)
                )
                usleep(200_000)
            }
            // A whole one comes behind it.
            let file = try cluster.folder.file("t.csv", "id,name\nC,c\n")
            try node.done(["import", file] + Self.load)
            #expect(try node.records() == 2)
            #expect(spool(of: node) == [])
        }

        @Test
        func `a stream without an end fills no disk, and its sender is told`() throws {
            guard let disk = SmallDisk(megabytes: 60) else { return }
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: disk.path + "/node", runtime: folder.runtime)
            try node.found(organization: "Acme")
            #expect(try node.start())
            defer { node.kill() }
            let program = [HansaProcess.program, "import", "--data", node.folder, "-"] + Self.load
            let outcome = try ChildProcess(
                "sh",
                ["-c", "cat /dev/zero | " + program.map { "'\($0)'" }.joined(separator: " ")],
                environment: ["PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": folder.runtime]
            )
            #expect(outcome.wait(seconds: 60) == 6)
            try node.done("edit", "Acme/need/x", "name=x", "--create")
            #expect(spool(of: node) == [])
        }

        @Test
        func `an import that meets a full disk tells what it has written, and goes on from there`() throws {
            guard let disk = SmallDisk(megabytes: 80) else { return }
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: disk.path + "/node", runtime: folder.runtime)
            try node.found(organization: "Acme")
            let rows = 100_000
            let note = String(repeating: "x", count: 200)
            let table = "id,name,note\n" + (1...rows).map { "R\($0),name \($0),\(note)\n" }.joined()
            let file = try folder.file("t.csv", table)
            let outcome = try node.command(["import", file] + Self.load)
            #expect(outcome.code == 6, "\(outcome)")
            let told = outcome.errors.split(separator: "\n").map(String.init)
            let tally = try #require(told.first { $0.hasPrefix("  until then: ") }, "\(outcome)")
            #expect(told.contains("  what was written is whole; the same command goes on from there"))
            let created = try #require(Int(tally.dropFirst("  until then: ".count).prefix { $0.isNumber }))
            #expect(disk.remount("size=400m"))
            #expect(try node.records() == created + 1)
            let rest = try node.done(["import", file, "--json"] + Self.load).json
            #expect(rest.unchanged.int == created && rest.created.int == rows - created)
        }

        @Test
        func `progress is for terminals alone, and an export to a file says what it has written`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let file = try cluster.folder.file("t.csv", "id,name\n" + (1...3_000).map { "R\($0),n \($0)\n" }.joined())
            #expect(try node.done(["import", file] + Self.load).errors == "")
            let target = cluster.folder("out.csv")
            let export = ["export", "--kind", "need", "--format", "csv"]
            #expect(try node.done(export + ["-o", target]).errors == "3,000 records exported to \(target)\n")
            #expect(try node.done(export + ["-o", target, "--json"]).errors == "")
            #expect(try node.done(export).errors == "")
            let verified = try node.done("verify")
            #expect(verified.errors == "" && !verified.output.contains("derived"))
            #expect(try node.done("verify", "--deep").output.contains(" derived rows checked"))
        }

        @Test
        func `slips on the command line are told for what they are`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let limit = try node.command("search", "x", "--limit", "-1")
            #expect(limit.code == 2 && limit.errors.contains("--limit is at least 1"), "\(limit)")
            let command = try node.command("impotr", "t.csv")
            #expect(command.code == 2 && command.errors.contains("did you mean 'hansa import'?"), "\(command)")
            let kind = try node.command("get", "Acme/capabilty/1")
            #expect(kind.code == 2 && kind.errors.contains("there is no kind 'capabilty'"), "\(kind)")
            #expect(kind.errors.contains("\n  capability\n"), "\(kind)")
        }
    }
}
