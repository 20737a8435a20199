import Foundation
import Glibc
import Simulator
import TestSupport
import Testing

extension ProcessTests {
    /// Kill -9 at random times: acknowledged data is present, and the nodes agree in the end.
    struct KillTests {
        /// One seed per line, run first: seeds that once found a fault, and a few more. `HANSA_TEST_KILLS` sets the
        /// number of kills (default 15); seeds beyond the file's are drawn and printed.
        private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("kill-seeds.txt").path
        private static let kills = ProcessInfo.processInfo.environment["HANSA_TEST_KILLS"].flatMap { Int($0) } ?? 15
        private static let rows = 4_500

        private static func seeds() throws -> [UInt64] {
            let text = try String(contentsOfFile: file, encoding: .utf8)
            let kept = text.split(separator: "\n").compactMap { UInt64($0.trimmingCharacters(in: .whitespaces)) }
            let drawn = (0..<max(0, kills - kept.count)).map { _ in UInt64.random(in: 1...999_999_999) }
            return Array((kept + drawn).prefix(kills))
        }

        /// The data that must be present, and the data that may be.
        private struct Expectation {
            /// The last acknowledged version of the table's rows.
            var version = 0
            /// A later version whose import was interrupted: any row may have it.
            var cutOff: Int?
            /// Acknowledged single edits.
            var edits: [String: String] = [:]
            /// An interrupted edit.
            var openEdit: (id: String, value: String)?
        }

        private static func table(_ version: Int) -> String {
            "id,name\n" + (1...rows).map { "R\($0),row \($0) version \(version)" }.joined(separator: "\n") + "\n"
        }

        @Test
        func `nothing acknowledged is lost, and the nodes agree in the end`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let author = cluster[0]
            var expected = Expectation()
            let begin = ContinuousClock.now
            #expect(try load(cluster, 1).wait() == 0)
            let span = begin.duration(to: .now) / .microseconds(1)
            expected.version = 1
            #expect(try cluster.awaitAgreement())
            for seed in try Self.seeds() {
                do {
                    var random = SplitMix64(seed: seed)
                    try round(cluster, &random, span: UInt32(span), &expected)
                    #expect(try difference(author, expected) == [], "seed \(seed)")
                    try settle(author, &expected)
                } catch {
                    let state = author.processIdentifier == nil ? "has ended" : "runs"
                    let log = author.logLines.suffix(30).joined(separator: "\n")
                    Issue.record("seed \(seed), \(error); the node \(state):\n\(log)")
                    return
                }
            }
            #expect(try cluster.awaitAgreement())
            for node in cluster.nodes {
                #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
                #expect(try difference(node, expected) == [])
            }
            #expect(try cluster.hasNoFork())
            // A kill does not start a new log.
            #expect(try author.ownLogs().count == 1)
        }

        private func load(_ cluster: Cluster, _ version: Int) throws -> ChildProcess {
            let file = try cluster.folder.file("table.csv", Self.table(version))
            return try cluster[0].begin(["import", file, "--kind", "resource", "--key", "id"])
        }

        /// One kill with the recovery.
        private func round(
            _ cluster: Cluster,
            _ random: inout SplitMix64,
            span: UInt32,
            _ expected: inout Expectation
        ) throws {
            let author = cluster[0]
            let (edit, value) = ("E\(Int.random(in: 1...20, using: &random))", "\(random.next())")
            try author.done("edit", "Acme/need/\(edit)", "name=\(value)", "--create")
            expected.edits[edit] = value
            let delay = UInt32.random(in: 0...span, using: &random)
            let version = max(expected.version, expected.cutOff ?? 0) + 1
            switch Int.random(in: 0...3, using: &random) {
            case 0: try killReceiver(cluster, version, delay, &expected)
            case 1: try killEditor(cluster, &random, delay, &expected)
            case 2: try killOfflineImport(cluster, version, delay, &expected)
            default: try killImporter(cluster, version, delay, &expected)
            }
            #expect(try cluster[0].done("verify", "--deep", "--json").json.sound.bool == true)
        }

        /// Kills the node during an import; the command must notice.
        private func killImporter(
            _ cluster: Cluster,
            _ version: Int,
            _ delay: UInt32,
            _ expected: inout Expectation
        ) throws {
            let load = try load(cluster, version)
            usleep(delay)
            cluster[0].kill()
            try judge(load, version, cutOffCode: 3, &expected)
            #expect(try cluster[0].start())
        }

        /// Kills the command during an import with the node stopped.
        private func killOfflineImport(
            _ cluster: Cluster,
            _ version: Int,
            _ delay: UInt32,
            _ expected: inout Expectation
        ) throws {
            #expect(cluster[0].stop() == 0)
            let load = try load(cluster, version)
            usleep(delay)
            load.send(SIGKILL)
            try judge(load, version, cutOffCode: 128 + SIGKILL, &expected)
            #expect(try cluster[0].start())
        }

        private func judge(
            _ load: ChildProcess,
            _ version: Int,
            cutOffCode: Int32,
            _ expected: inout Expectation
        ) throws {
            let code = load.wait(seconds: 60)
            if code == 0 {
                expected.version = version
                expected.cutOff = nil
            } else {
                #expect(code == cutOffCode)
                expected.cutOff = version
            }
        }

        /// Kills the other node while it catches up.
        private func killReceiver(
            _ cluster: Cluster,
            _ version: Int,
            _ delay: UInt32,
            _ expected: inout Expectation
        ) throws {
            #expect(cluster[1].stop() == 0)
            #expect(try load(cluster, version).wait() == 0)
            expected.version = version
            expected.cutOff = nil
            #expect(try cluster[1].start())
            usleep(delay)
            cluster[1].kill()
            #expect(try cluster[1].done("verify", "--deep", "--json").json.sound.bool == true)
            #expect(try cluster[1].start())
        }

        /// Kills the node during single edits.
        private func killEditor(
            _ cluster: Cluster,
            _ random: inout SplitMix64,
            _ delay: UInt32,
            _ expected: inout Expectation
        ) throws {
            let end = ContinuousClock.now + .microseconds(Int(delay) / 2)
            var edits = 0
            while ContinuousClock.now < end || edits == 0 {
                let (id, value) = ("E\(Int.random(in: 1...20, using: &random))", "\(random.next())")
                try cluster[0].done("edit", "Acme/need/\(id)", "name=\(value)", "--create")
                expected.edits[id] = value
                edits += 1
            }
            let (id, value) = ("E\(Int.random(in: 1...20, using: &random))", "\(random.next())")
            let said = cluster.folder("edit.out")
            let edit = try cluster[0].begin(
                ["edit", "Acme/need/\(id)", "name=\(value)", "--create"],
                output: said
            )
            usleep(UInt32.random(in: 0...80_000, using: &random))
            cluster[0].kill()
            // If the node was gone before the request, the command has done the edit itself.
            let code = edit.wait(seconds: 60)
            if code == 0 {
                expected.edits[id] = value
            } else {
                #expect(
                    code == 3,
                    "\(String(decoding: FileManager.default.contents(atPath: said) ?? Data(), as: UTF8.self))"
                )
                expected.openEdit = (id, value)
            }
            #expect(try cluster[0].start())
        }

        private func name(_ record: JSONTree?) -> String? {
            record?.name.string
        }

        /// The deviations from the expectation.
        private func difference(_ node: HansaProcess, _ expected: Expectation) throws -> [String] {
            var found: [String] = []
            let table = try node.catalog("resource")
            for row in 1...Self.rows {
                let name = name(table["R\(row)"])
                let allowed = [expected.version, expected.cutOff ?? expected.version].map { "row \(row) version \($0)" }
                if !allowed.contains(name ?? "") { found.append("R\(row): \(name ?? "none")") }
            }
            let edits = try node.catalog("need")
            for (id, value) in expected.edits {
                let name = name(edits[id])
                if name == value || id == expected.openEdit?.id && name == expected.openEdit?.value { continue }
                found.append("\(id): \(name ?? "none"), not \(value)")
            }
            return found
        }

        /// Restores the table after an interrupted import, as its keeper would.
        private func settle(_ author: HansaProcess, _ expected: inout Expectation) throws {
            if let open = expected.openEdit {
                expected.edits[open.id] = name(try author.catalog("need")[open.id])
                expected.openEdit = nil
            }
            guard let version = expected.cutOff else { return }
            let file = author.folder + ".again.csv"
            try Self.table(version).write(toFile: file, atomically: false, encoding: .utf8)
            try author.done("import", file, "--kind", "resource", "--key", "id")
            expected.version = version
            expected.cutOff = nil
        }
    }
}
