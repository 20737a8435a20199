import Foundation
import TestSupport
import Testing

extension ProcessTests {
    /// Changes to a data folder outside the node's control never make it continue a log twice.
    struct FolderCopyTests {
        @Test
        func `a normal stop and start goes on with the same log`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            try node.done("edit", "Acme/need/a", "name=a", "--create")
            let before = try node.ownLogs()
            #expect(before.count == 1)
            for round in 1...3 {
                #expect(node.stop() == 0)
                // Also with the node stopped.
                try node.done("edit", "Acme/need/a", "name=offline \(round)")
                #expect(try node.start())
                try node.done("edit", "Acme/need/a", "name=online \(round)")
            }
            let after = try node.ownLogs()
            #expect(Array(after.keys) == Array(before.keys))
            #expect(after.values.first == before.values.first.map { $0 + 6 })
        }

        @Test
        func `a copy run elsewhere writes a log of its own`() throws {
            let cluster = try Cluster("Acme", "Bolt")
            let (node, other) = (cluster[0], cluster[1])
            try node.done("edit", "Acme/need/a", "name=original", "--create")
            #expect(try cluster.awaitAgreement())
            let original = try node.ownLogs()
            #expect(node.stop() == 0)
            let copy = cluster.node("copy")
            try copyFolder(node.folder, to: copy.folder)
            copy.runArguments = ["--listen", "127.0.0.1:\(copy.port)"]

            #expect(try copy.start())
            try copy.done("edit", "Acme/need/b", "name=from the copy", "--create")
            #expect(try cluster.awaitAgreement(seconds: 60, [copy, other]))
            #expect(try copy.ownLogs().count == 2)
            #expect(copy.stop() == 0)

            #expect(try node.start())
            try node.done("edit", "Acme/need/c", "name=from the first", "--create")
            #expect(try cluster.awaitAgreement())
            let logs = try node.ownLogs()
            #expect(logs.count == 2)
            for (incarnation, sequence) in original { #expect(logs[incarnation] == sequence + 1) }
            #expect(try other.catalog("need").count == 3)
            #expect(try cluster.hasNoFork())
        }

        /// Rolls back by this many edits; a single edit is the case that most resembles the node's own log.
        @Test(arguments: [1, 4], [true, false])
        func `a folder rolled back forks no log and fetches its deltas from others`(
            edits: Int,
            isFirstEditOffline: Bool
        ) throws {
            let cluster = try Cluster("Acme", "Bolt")
            let (node, other) = (cluster[0], cluster[1])
            try node.done("edit", "Acme/need/before", "name=before", "--create")
            #expect(try cluster.awaitAgreement())
            #expect(node.stop() == 0)
            let backup = cluster.folder("backup")
            try copyFolder(node.folder, to: backup)
            #expect(try node.start())
            for edit in 1...edits { try node.done("edit", "Acme/need/lost-\(edit)", "name=lost", "--create") }
            #expect(try cluster.awaitAgreement())
            let logs = try node.ownLogs()
            #expect(logs.count == 1)
            #expect(node.stop() == 0)

            try copyFolder(backup, to: node.folder)
            if isFirstEditOffline { try node.done("edit", "Acme/need/after", "name=after", "--create") }
            #expect(try node.start())
            if !isFirstEditOffline { try node.done("edit", "Acme/need/after", "name=after", "--create") }
            #expect(try cluster.awaitAgreement())
            #expect(try cluster.hasNoFork())
            let now = try node.ownLogs()
            #expect(now.count == 2)
            for (incarnation, sequence) in logs { #expect(now[incarnation] == sequence) }
            #expect(try other.catalog("need").count == edits + 2)
            #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
            #expect(try node.status().refused.int == 0)
        }
    }
}
