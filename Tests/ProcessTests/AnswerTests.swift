import Foundation
import TestSupport
import Testing

extension ProcessTests {
    /// Answers of commands with a running and a stopped node.
    struct AnswerTests {
        private static let table = #"""
            code,name_zh,name_en,tags,depth,status
            D-1,深水码头,Deep dock,crane;rail,12.5,active
            D-2,"浮, 码头","Floating ""dock""",,0,suspended
            007,,Shed,crane,,

            """#
        private static let load =
            ["--kind", "resource", "--key", "code"]
            + ["--column", "name.zh=name_zh", "--column", "name.en=name_en"]

        private func filled(_ cluster: Cluster) throws {
            let file = try cluster.folder.file("docks.csv", Self.table)
            try cluster[0].done(["import", file] + Self.load)
            try cluster[0].done("edit", "Acme/resource/D-1", "tag+=cold store", "description/zh=可停靠\n大船")
        }

        @Test
        func `answers are alike with the node running and stopped`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            try filled(cluster)
            #expect(try cluster.awaitAgreement())
            let node = cluster[0]
            let questions = [
                ["get", "Acme/resource/D-1", "--json"], ["get", "Acme/resource/D-2"],
                ["why", "Acme/resource/D-1", "--json"],
                ["log", "--json"], ["conflicts", "--json"], ["members", "--json"],
                ["export", "--kind", "resource", "--format", "csv"],
                ["export", "--kind", "resource", "--format", "jsonl"], ["get", "Acme/resource/none"], ["get", "f"],
                ["edit", "Bolt/organization/self", "name=x"],
                ["edit", "Acme/resource/D-1", "ext/depth=12.5", "--json"],
                ["export", "--kind", "resource", "--format", "jsonl", "--owner", "Nobody"],
            ]
            func answers() throws -> [[String]] {
                try questions.map { words in
                    let outcome = try node.command(words)
                    return ["\(outcome.code)", outcome.output, outcome.errors]
                }
            }
            func searched(_ text: String) throws -> JSONTree {
                let answer = try node.done("search", text, "--json").json
                return .list([answer.hits, answer.total, answer.exact])
            }
            func state() throws -> JSONTree {
                let status = try node.status()
                let members = status.members.array.map { JSONTree.list([$0.organization, $0.records]) }
                return .list(
                    [status.records, status.digest, status.frontier, status.conflicts, status.alliance, status.forks]
                        + members
                )
            }
            let texts = ["码头", "dock", "crane", "cold", "nothing"]
            let (running, found, standing) = (try answers(), try texts.map(searched), try state())
            #expect(node.stop() == 0)
            let stopped = try answers()
            for (position, words) in questions.enumerated() {
                #expect(running[position] == stopped[position], "\(words)")
            }
            #expect(try texts.map(searched) == found)
            #expect(try state() == standing)
            #expect(running.filter { $0[0] == "0" }.count >= 9)
            #expect(found[0][0].array.count == 2)
        }

        @Test
        func `a node at work answers every question`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let rows = (1...30_000).map { "R\($0),name \($0)" }.joined(separator: "\n")
            let file = try cluster.folder.file("large.csv", "id,name\n\(rows)\n")
            let load = try cluster[0].begin(["import", file, "--kind", "need", "--key", "id"])
            var asked = 0
            while load.isRunning || asked < 50 {
                for node in cluster.nodes {
                    try node.done("status")
                    try node.done("search", "name \(asked)")
                }
                asked += 1
            }
            #expect(load.wait() == 0)
            #expect(try cluster.awaitAgreement())
            #expect(try cluster[1].records() == 30_002)
        }

        @Test(arguments: ["csv", "jsonl"])
        func `an export loads into another alliance as the same catalog`(format: String) throws {
            let cluster = try Cluster("Acme")
            try filled(cluster)
            let file = cluster.folder("export.\(format)")
            try cluster[0].done("export", "--kind", "resource", "--format", format, "-o", file)
            let other = cluster.node("other")
            try other.found(alliance: "Another", organization: "Crow")
            let key = ["--kind", "resource", "--key", "localId", "--json"]
            #expect(try other.done(["import", file] + key).json.created.int == 3)
            let (here, there) = (try cluster[0].catalog("resource"), try other.catalog("resource"))
            #expect(here.count == 3)
            #expect(here == there)
            // A second export is the same file, except for the owner's name.
            #expect(try other.done(["import", file] + key).json.unchanged.int == 3)
            // An import into the first alliance changes nothing.
            #expect(try cluster[0].done(["import", file] + key).json.unchanged.int == 3)
        }

        @Test(.enabled(if: RealData.folder != nil, RealData.isMissing), arguments: ["csv", "jsonl"])
        func `a real table survives export and import`(format: String) throws {
            let cluster = try Cluster("Acme")
            let words = ["--kind", "resource", "--key", "projectID", "--column", "name=Name"]
            try cluster[0].done(["import", RealData.path("powerplants/powerplants-2022-12-21.csv")] + words)
            let file = cluster.folder("export.\(format)")
            try cluster[0].done("export", "--kind", "resource", "--format", format, "-o", file)
            let other = cluster.node("other")
            try other.found(alliance: "Another", organization: "Crow")
            try other.done("import", file, "--kind", "resource", "--key", "localId")
            let (here, there) = (try cluster[0].catalog("resource"), try other.catalog("resource"))
            #expect(here.count == 5_404)
            #expect(here.filter { there[$0.key] != $0.value }.keys.sorted().prefix(3) == [])
            #expect(here.count == there.count)
        }
    }
}
