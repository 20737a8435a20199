import Foundation
import Glibc
import Simulator
import Synchronization
import TestSupport
import Testing

extension ProcessTests {
    /// Disks that are full, read-only or damaged.
    struct DiskTests {
        private static let mayMount = SmallDisk(megabytes: 1) != nil
        private static let mayNotMount: Comment = "mounting a small file system is not permitted here"

        private static func table(_ rows: Int) -> String {
            "id,name,note\n"
                + (1...rows).map { "R\($0),name \($0),\(String(repeating: "x", count: 200))" }
                .joined(separator: "\n") + "\n"
        }

        @Test(.enabled(if: mayMount, mayNotMount), arguments: [true, false])
        func `on a full disk an import fails whole, and what was there stays`(isRunning: Bool) throws {
            let disk = try #require(SmallDisk(megabytes: 12))
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: disk.path + "/node", runtime: folder.runtime)
            try node.found(organization: "Acme")
            let small = try folder.file("small.csv", Self.table(500))
            let large = try folder.file("large.csv", Self.table(60_000))
            if isRunning { #expect(try node.start()) }
            try node.done("import", small, "--kind", "need", "--key", "id")
            let outcome = try node.command("import", large, "--kind", "resource", "--key", "id")
            #expect(outcome.code == 6, "\(outcome)")

            #expect(disk.remount("size=300m"))
            // A node that could not write may have stopped with its own exit code.
            if isRunning {
                if node.processIdentifier == nil { #expect(node.awaitEnd() == 6) }
                node.kill()
                #expect(try node.start())
            }
            #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
            #expect(try node.catalog("need").count == 500)
            try node.done("import", large, "--kind", "resource", "--key", "id")
            #expect(try node.records() == 60_501)
        }

        @Test(.enabled(if: mayMount, mayNotMount))
        func `a folder that cannot be written is said to be one, and is none the worse`() throws {
            let disk = try #require(SmallDisk(megabytes: 50))
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: disk.path + "/node", runtime: folder.runtime)
            try node.found(organization: "Acme")
            try node.done("edit", "Acme/need/x", "name=kept", "--create")
            #expect(disk.remount("size=50m", flags: UInt(MS_RDONLY)))
            #expect(try node.command("edit", "Acme/need/x", "name=lost").code == 6)
            #expect(try node.command("run").code == 6)
            #expect(disk.remount("size=50m"))
            #expect(try node.fields(of: "Acme/need/x")?.values.contains(.text("kept")) == true)
            try node.done("edit", "Acme/need/x", "name=new")
            #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
        }

        @Test
        func `a file that may grow no further is a full disk, not the end of the program`() throws {
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: folder("node"), runtime: folder.runtime)
            try node.found(organization: "Acme")
            let file = try folder.file("large.csv", Self.table(20_000))
            let outcome = try node.command(
                ["import", file, "--kind", "need", "--key", "id"],
                wrapper: ["prlimit", "--fsize=2000000"]
            )
            #expect(outcome.code == 6, "\(outcome)")
            #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
            try node.done("import", file, "--kind", "need", "--key", "id")
            #expect(try node.records() == 20_001)
        }

        /// Commands that arrive while the node stops itself neither hasten nor change its end.
        @Test(.enabled(if: mayMount, mayNotMount), arguments: 1...5)
        func `a node whose disk is full stops in order, however many commands come in`(round: Int) throws {
            let disk = try #require(SmallDisk(megabytes: 30))
            let cluster = try Cluster("Acme")
            let node = HansaProcess(folder: disk.path + "/node", runtime: cluster.folder.runtime)
            #expect(try node.join(try cluster[0].ticket(), organization: "Bolt").code == 0)
            #expect(try node.start())
            #expect(try cluster.awaitAgreement(seconds: 60, [cluster[0], node]))
            let socket = try LocalSocket.path(of: node)
            let request = "POST /v0/status HTTP/1.1\r\nHost: hansa\r\nContent-Length: 2\r\n\r\n"
            // One request is in progress when the node stops; its end arrives later.
            let pending = try #require(LocalSocket(path: socket))
            pending.write(request)

            #expect(disk.fill())
            let isOver = Mutex(false)
            let hammering = DispatchGroup()
            for number in 0..<6 {
                DispatchQueue(label: "hammer-\(number)").async(group: hammering) {
                    while !isOver.withLock({ $0 }) {
                        guard let connection = LocalSocket(path: socket) else { continue }
                        if number.isMultiple(of: 2) { connection.write(request + "{}") }
                        if number.isMultiple(of: 3) { _ = connection.readAll() }
                    }
                }
            }
            defer {
                isOver.withLock { $0 = true }
                hammering.wait()
            }
            let file = try cluster.folder.file("table.csv", Self.table(5_000))
            try cluster[0].done("import", file, "--kind", "need", "--key", "id")
            #expect(eventually(seconds: 60, every: 1_000) { node.logLines.contains { $0.contains("] stopping") } })
            pending.write("{}")
            #expect(pending.readAll().hasPrefix("HTTP/1.1 200"))
            #expect(node.awaitEnd(seconds: 60) == 6)
            #expect(
                node.logLines.last?.hasPrefix("hansa: no room left on the disk") == true,
                "\(node.logLines.suffix(3))"
            )
        }

        @Test(arguments: ["the header", "the middle", "the end cut off"])
        func `a damaged database is said to be one`(place: String) throws {
            let cluster = try Cluster("Acme", "Bolt")
            let node = cluster[0]
            let file = try cluster.folder.file("table.csv", Self.table(3_000))
            try node.done("import", file, "--kind", "need", "--key", "id")
            #expect(try cluster.awaitAgreement())
            #expect(node.stop() == 0)
            let database = node.folder + "/directory.sqlite"
            let handle = try #require(FileHandle(forUpdatingAtPath: database))
            let size = try handle.seekToEnd()
            var random = SplitMix64(seed: 7)
            switch place {
            case "the header":
                try handle.seek(toOffset: 0)
                try handle.write(contentsOf: random.bytes(100))
            case "the middle":
                for part in 2...7 {
                    try handle.seek(toOffset: size * UInt64(part) / 10)
                    try handle.write(contentsOf: random.bytes(5_000))
                }
            default: try handle.truncate(atOffset: size / 2)
            }
            try handle.close()
            let outcome = try node.command("verify", "--deep")
            #expect(outcome.code == 7, "\(outcome)")
            #expect(!outcome.errors.contains("Error Domain"))
            // The other node is unaffected.
            #expect(try cluster[1].done("verify", "--deep", "--json").json.sound.bool == true)
        }
    }
}
