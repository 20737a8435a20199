import Foundation
import TestSupport
import Testing

extension ProcessTests {
    /// The keys of answers match `Docs/Answers.md`, on which scripts rely.
    struct AnswerKeyTests {
        /// The page's keys by command.
        private static let documented: [String: Set<String>] = {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let text = (try? String(contentsOf: root.appending(path: "Docs/Answers.md"), encoding: .utf8)) ?? ""
            var keys: [String: Set<String>] = [:]
            for line in text.split(separator: "\n") where line.hasPrefix("| `") {
                let words = line.split(separator: "`").enumerated().filter { $0.offset % 2 == 1 }.map {
                    String($0.element)
                }
                if let command = words.first { keys[command] = Set(words.dropFirst()) }
            }
            return keys
        }()

        /// Keys whose members have names from the data.
        private static let open: Set<String> = ["fields", "hits[].fields", "members[].records"]

        /// Adds the keys of a value. `bare` collects empty lists, and nulls where the page documents an object.
        private func gather(_ value: Any, _ path: String, _ keys: inout Set<String>, _ bare: inout Set<String>) {
            if let members = value as? [String: Any] {
                if Self.open.contains(path) {
                    keys.insert(path + ".*")
                    return
                }
                let areMessages = path.hasSuffix(".byMessage")
                for (key, member) in members {
                    gather(member, (path.isEmpty ? "" : path + ".") + (areMessages ? "*" : key), &keys, &bare)
                }
            } else if let elements = value as? [Any] {
                if elements.isEmpty { bare.insert(path + "[]") }
                for element in elements {
                    if element is [String: Any] {
                        gather(element, path + "[]", &keys, &bare)
                    } else {
                        keys.insert(path + "[]")
                    }
                }
            } else {
                if value is NSNull { bare.insert(path) }
                keys.insert(path)
            }
        }

        private func expect(_ command: String, _ output: String) throws {
            let documented = try #require(Self.documented[command], "\(command) is not in Docs/Answers.md")
            let json = try JSONSerialization.jsonObject(with: Data(output.utf8))
            var (keys, bare): (Set<String>, Set<String>) = ([], [])
            gather(json, "", &keys, &bare)
            // Empty lists and null objects hide the keys below them.
            let hidden = documented.filter { key in bare.contains { key.hasPrefix($0 + ".") || key == $0 } }
            let surplus = keys.subtracting(documented).filter { key in
                !(bare.contains(key) && documented.contains { $0.hasPrefix(key + ".") })
            }
            #expect(surplus.isEmpty, "\(command): not on the page: \(surplus.sorted())")
            let missing = documented.subtracting(keys).subtracting(hidden)
            #expect(missing.isEmpty, "\(command): not in the answer: \(missing.sorted())")
        }

        @Test
        func `each answer has the keys that the page names, and no other`() throws {
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: folder("node"), runtime: folder.runtime)
            let made = try node.command(
                "init",
                "--alliance",
                "A",
                "--org",
                "Acme",
                "--listen",
                "127.0.0.1:\(node.port)",
                "--json"
            )
            #expect(made.code == 0, "\(made)")
            try expect("init", made.output)
            #expect(try node.start())
            let invited = try node.done("invite", "--json")
            try expect("invite", invited.output)
            let peer = HansaProcess(folder: folder("peer"), runtime: folder.runtime)
            let joined = try peer.command(
                "join",
                try #require(invited.json.ticket.string),
                "--org",
                "Bolt",
                "--listen",
                "127.0.0.1:\(peer.port)",
                "--json"
            )
            #expect(joined.code == 0, "\(joined)")
            try expect("join", joined.output)
            #expect(try peer.start())
            let file = try folder.file("docks.csv", "code,name,tags\nD-1,Dock,crane;rail\nD-2,Shed,\n")
            let load = ["import", file, "--kind", "resource", "--key", "code", "--json"]
            try expect("import", try node.done(load).output)
            try expect("import", try node.done(load).output)
            let edit = ["edit", "Acme/resource/D-1", "name=Pier", "--json"]
            try expect("edit", try node.done(edit).output)
            // The same keys if nothing changes.
            try expect("edit", try node.done(edit).output)
            // A second node of the organization writes the same field before it knows the first one's value.
            let twin = HansaProcess(folder: folder("twin"), runtime: folder.runtime)
            #expect(try twin.join(try node.ticket("--own"), organization: nil).code == 0)
            #expect(try twin.start())
            #expect(try eventually(seconds: 60) { try twin.fields(of: "Acme/resource/D-2") != nil })
            #expect(twin.stop() == 0)
            try node.done("edit", "Acme/resource/D-2", "name=Left")
            try twin.done("edit", "Acme/resource/D-2", "name=Right")
            #expect(try twin.start())
            #expect(try eventually(seconds: 60) { try node.status().conflicts.int == 1 })
            for command in ["status", "peers", "members", "topology", "conflicts", "log", "verify"] {
                try expect(command, try node.done(command, "--json").output)
            }
            try expect("search", try node.done("search", "pier", "--json").output)
            try expect("get", try node.done("get", "Acme/resource/D-1", "--json").output)
            try expect("why", try node.done("why", "Acme/resource/D-2", "--json").output)
            try expect("diff", try node.command("diff", "Bolt", "--json").output)
            try expect("settle", try node.done("settle", "Acme/resource/D-2", "name/und", "Left", "--json").output)
            try expect("delete", try node.done("delete", "Acme/resource/D-1", "--json").output)
            // A stopped node knows less but has the same keys.
            #expect(node.stop() == 0)
            for command in ["status", "peers", "members", "conflicts", "log"] {
                try expect(command, try node.done(command, "--json").output)
            }
        }
    }
}
