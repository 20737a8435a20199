import TestSupport
import Testing

extension ProcessTests {
    /// Two nodes of one organization, the second with a clock a day ahead, and an observing node of another
    /// organization.
    struct ConflictTests {
        private static let fast = ["HANSA_TEST_CLOCK_AHEAD": "86400"]

        /// Runs both bodies while the nodes are separated, then connects them.
        private func apart(_ cluster: Cluster, _ first: () throws -> Void, _ second: () throws -> Void) throws {
            #expect(cluster[0].stop() == 0)
            #expect(cluster[2].stop() == 0)
            try first()
            try second()
            #expect(try cluster[0].start())
            #expect(try cluster[2].start())
            #expect(try cluster.awaitAgreement())
        }

        private func cluster() throws -> Cluster {
            let cluster = try Cluster("Acme", "Bolt")
            let second = try cluster.add(nil)
            second.environment.merge(Self.fast) { $1 }
            #expect(second.stop() == 0)
            #expect(try second.start())
            return cluster
        }

        @Test
        func `values written apart are kept and listed until somebody settles them`() throws {
            let cluster = try cluster()
            let (near, far) = (cluster[0], cluster[2])
            let name = "Acme/capability/press"
            try near.done("edit", name, "name=Press", "--create")
            #expect(try cluster.awaitAgreement())
            try apart(cluster) {
                try near.done("edit", name, "status=active", "terms=rent")
            } _: {
                try far.done("edit", name, "status=suspended", "description=400 t")
            }
            for node in cluster.nodes {
                let fields = try #require(try node.fields(of: name))
                // Writes to different fields both survive; for the same field, the later clock wins.
                #expect(fields["terms"]?.string == "rent" || fields["terms/und"]?.string == "rent")
                #expect(fields.values.contains(.text("400 t")))
                #expect(fields["status"]?.string == "suspended")
                let conflicts = try node.done("conflicts", "--json").json.conflicts.array
                #expect(conflicts.count == 1)
                #expect(conflicts.first?.field.string == "status")
                #expect(conflicts.first?.winner.value.string == "suspended")
                #expect(conflicts.first?.others.array.map(\.value.string) == ["active"])
                #expect(try node.status().conflicts.int == 1)
                let why = try node.done("why", name, "status", "--json").json.fields[0].entries.array
                #expect(why.map(\.standing.string) == ["winner", "loser"])
                #expect(why.map(\.value.string) == ["suspended", "active"])
                #expect(why.first?.author.node != why.last?.author.node)
            }

            // A write that has seen both values wins against the clock that is a day ahead.
            try near.done("edit", name, "status=retired")
            #expect(try cluster.awaitAgreement())
            for node in cluster.nodes {
                #expect(try node.fields(of: name)?["status"]?.string == "retired")
                #expect(try node.done("conflicts", "--json").json.conflicts == .list([]))
                let standings = try node.done("why", name, "status", "--json").json.fields[0].entries.array
                #expect(standings.map(\.standing.string) == ["winner", "superseded", "superseded"])
            }
        }

        @Test
        func `settling ends a conflict everywhere`() throws {
            let cluster = try cluster()
            let name = "Acme/capability/lathe"
            try cluster[0].done("edit", name, "name=Lathe", "--create")
            #expect(try cluster.awaitAgreement())
            try apart(cluster) {
                try cluster[0].done("edit", name, "status=active")
            } _: {
                try cluster[2].done("edit", name, "status=suspended")
            }
            #expect(try cluster[1].command("settle", name, "status", "active").code == 4)
            try cluster[2].done("settle", name, "status", "active")
            #expect(try cluster.awaitAgreement())
            for node in cluster.nodes {
                #expect(try node.fields(of: name)?["status"]?.string == "active")
                #expect(try node.done("conflicts", "--json").json.conflicts == .list([]))
                #expect(try node.status().conflicts.int == 0)
            }
        }

        @Test
        func `a record edited while it was deleted is listed, and settled either way`() throws {
            let cluster = try cluster()
            let names = ["Acme/need/one", "Acme/need/two"]
            for name in names { try cluster[0].done("edit", name, "name=Need", "--create") }
            #expect(try cluster.awaitAgreement())
            let records = try cluster[0].records()
            try apart(cluster) {
                for name in names { try cluster[0].done("delete", name) }
            } _: {
                for name in names { try cluster[2].done("edit", name, "status=open") }
            }
            for node in cluster.nodes {
                #expect(try node.records() == records - 2)
                let conflicts = try node.done("conflicts", "--json").json.conflicts.array
                #expect(conflicts.map(\.field.string) == ["deleted", "deleted"])
                #expect(try node.done("search", "Need", "--kind", "need", "--json").json.total.int == 0)
            }
            try cluster[0].done("settle", names[0], "deleted", "yes")
            try cluster[2].done("settle", names[1], "deleted", "no")
            #expect(try cluster.awaitAgreement())
            for node in cluster.nodes {
                #expect(try node.records() == records - 1)
                #expect(try node.done("conflicts", "--json").json.conflicts == .list([]))
                #expect(try node.fields(of: names[0]) == nil)
                #expect(try node.fields(of: names[1])?["status"]?.string == "open")
            }
        }
    }
}
