import TestSupport
import Testing

extension ProcessTests {
    @Suite(.enabled(if: RealData.folder != nil, RealData.isMissing))
    struct RealDataTests {
        private static let loads = [
            ["import", RealData.path("powerplants/powerplants-2022-12-21.csv"), "--kind", "resource"]
                + ["--key", "projectID", "--column", "name=Name"],
            ["import", RealData.path("ieee-oui/mam.csv"), "--kind", "contact"]
                + ["--key", "Assignment", "--column", "name=Organization Name"],
            ["import", RealData.path("cn-universities.csv"), "--kind", "capability"]
                + ["--key", "code", "--column", "name.zh=name_zh", "--column", "name.en=name_en"],
        ]
        private static let rows = [5_404, 4_390, 2_756]

        @Test
        func `three nodes load different files at once and agree, and loading again changes nothing`() throws {
            let cluster = try Cluster("Hunan Aerospace", "东方研究院", "Port of Riga")
            let imports = try zip(cluster.nodes, Self.loads).map { try $0.begin($1) }
            #expect(imports.map { $0.wait() } == [0, 0, 0])
            #expect(try cluster.awaitAgreement())

            let total = Self.rows.reduce(3, +)
            for node in cluster.nodes {
                #expect(try node.records() == total)
                #expect(try eventually(seconds: 30) { try node.isInStep() })
            }
            for (here, there) in [(0, "东方研究院"), (0, "Port of Riga"), (1, "Hunan Aerospace"), (2, "东方研究院")] {
                let answer = try cluster[here].done("diff", there, "--json").json
                #expect(answer.identical.bool == true)
                #expect(answer.nodes[0].differing.int == 0)
            }
            // Records from one node are found at another.
            let found = try cluster[2].done("search", "北京大学", "--json").json
            #expect(found.hits.array.contains { $0.fields["name/zh"].string == "北京大学" })
            #expect(try !cluster[1].done("search", "Emsland", "--json").json.hits.array.isEmpty)

            let (before, digest) = (try cluster[0].sequences(), try cluster[0].digest())
            for (position, load) in Self.loads.enumerated() {
                let answer = try cluster[position].done(load + ["--json"]).json
                #expect(answer.unchanged.int == Self.rows[position])
                #expect(answer.created.int == 0 && answer.updated.int == 0 && answer.import == .null)
            }
            for node in cluster.nodes {
                #expect(try node.sequences() == before)
                #expect(try node.digest() == digest)
                #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
            }
        }
    }
}
