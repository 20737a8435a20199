import Foundation
import TestSupport
import Testing

extension ProcessTests {
    struct RecordTests {
        private static let table = "code,name,depth\nA-1,Crane,5\nA-2,Dock,7\n"

        @Test
        func `a deletion reaches everyone, and importing again brings the record back`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let file = try cluster.folder.file("docks.csv", Self.table)
            let load = ["import", file, "--kind", "resource", "--key", "code", "--json"]
            #expect(try cluster[0].done(load).json.created.int == 2)
            #expect(try cluster.awaitAgreement())
            #expect(try cluster[1].records() == 4)

            #expect(try cluster[0].done("delete", "Acme/resource/A-1", "--json").json.action.string == "deleted")
            #expect(try cluster.awaitAgreement())
            for node in cluster.nodes {
                #expect(try node.records() == 3)
                #expect(try node.fields(of: "Acme/resource/A-1") == nil)
                #expect(try node.done("search", "Crane", "--json").json.total.int == 0)
                #expect(try Array(node.catalog("resource").keys) == ["A-2"])
            }
            // A deleted record cannot be edited by mistake.
            #expect(try cluster[0].command("edit", "Acme/resource/A-1", "depth=6").code == 1)

            let again = try cluster[0].done(load).json
            #expect(again.created.int == 1 && again.unchanged.int == 1)
            #expect(try cluster.awaitAgreement())
            for node in cluster.nodes {
                #expect(try node.records() == 4)
                #expect(try node.fields(of: "Acme/resource/A-1")?["ext/depth"]?.string == "5")
                #expect(try node.done("search", "Crane", "--json").json.total.int == 1)
            }
        }

        @Test
        func `another organization's record is refused with its owner's name`() throws {
            let cluster = try Cluster("Acme", "Bolt & Söhne")
            try cluster[1].done("edit", "Bolt & Söhne/need/x", "name=Steel", "--create")
            #expect(try cluster.awaitAgreement())
            let attempts = [
                ["edit", "Bolt & Söhne/need/x", "name=Lead"], ["delete", "Bolt & Söhne/need/x"],
                ["edit", "Bolt & Söhne/need/y", "name=Lead", "--create"],
            ]
            let before = try cluster[0].sequences()
            for words in attempts {
                let outcome = try cluster[0].command(words)
                #expect(outcome.code == 4)
                #expect(outcome.errors.contains("Bolt & Söhne"))
            }
            #expect(try cluster[0].sequences() == before)
            #expect(try cluster[0].fields(of: "Bolt & Söhne/need/x")?.values.contains(.text("Steel")) == true)
        }

        @Test
        func `an id's beginning that fits several is refused with the candidates`() throws {
            let cluster = try Cluster("Acme")
            let rows = (1...60).map { "R\($0),Record \($0)" }.joined(separator: "\n")
            let file = try cluster.folder.file("rows.csv", "id,name\n\(rows)\n")
            try cluster[0].done("import", file, "--kind", "resource", "--key", "id")
            let ids = try (1...60).map { number in
                try #require(try cluster[0].done("get", "Acme/resource/R\(number)", "--json").json.id.string)
            }
            // Among sixty-one hexadecimal numbers, some have the same first digit. One is the organization's own record.
            let own = try #require(try cluster[0].done("get", "Acme/organization/self", "--json").json.id.string)
            let groups = Dictionary(grouping: ids + [own]) { $0.prefix(1) }
            let (digit, alike) = try #require(groups.first { $0.value.count > 1 && $0.value.count < 10 })
            let outcome = try cluster[0].command("get", String(digit))
            #expect(outcome.code == 4)
            for id in alike { #expect(outcome.errors.contains(id.prefix(16))) }
            let told = JSONTree(Data(try cluster[0].command("get", String(digit), "--json").errors.utf8)).error
            #expect(told.reason.string == "ambiguous-record" && told.code.int == 4)
            #expect(Set(told.candidates.array.compactMap(\.id.string)) == Set(alike))
            #expect(try cluster[0].done("get", ids[0], "--json").json.localId.string == "R1")
            #expect(try cluster[0].command("get", String(repeating: "0", count: 40)).code == 1)
        }
    }
}
