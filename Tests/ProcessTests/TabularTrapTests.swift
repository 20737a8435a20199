import Foundation
import TestSupport
import Testing

extension ProcessTests {
    /// Typical damage of tables by spreadsheets, through the real program.
    struct TabularTrapTests {
        private static let rejected: [(name: String, text: String, place: String, words: [String])] = [
            ("repeated key", "id,name\nA,one\nB,two\nA,three\n", ":4:", ["2", "4"]),
            ("empty key", "id,name\nA,one\n,two\n", ":3:1:", ["id"]),
            ("ragged row", "id,name\nA,one\nB,two,three\n", ":3:", []),
            ("unclosed quote", "id,name\nA,one\nB,\"two\nC,three\n", ":3:", ["quote"]),
        ]

        @Test(arguments: rejected.indices)
        func `a wrong row is rejected with its place, and nothing is written`(index: Int) throws {
            let (name, text, place, words) = Self.rejected[index]
            let cluster = try Cluster("Acme")
            let file = try cluster.folder.file("table.csv", text)
            let before = try cluster[0].sequences()
            let load = ["import", file, "--kind", "need", "--key", "id"]
            let outcome = try cluster[0].command(load)
            #expect(outcome.code == 1, "\(name): \(outcome)")
            #expect(outcome.errors.contains("table.csv\(place)"), "\(name): \(outcome)")
            for word in words { #expect(outcome.errors.contains(word), "\(name): \(outcome)") }
            #expect(try cluster[0].sequences() == before)
            #expect(try cluster[0].records() == 1)

            // The same messages with the node stopped, and as JSON.
            #expect(cluster[0].stop() == 0)
            #expect(try cluster[0].command(load).errors == outcome.errors)
            let answer = try cluster[0].command(load + ["--json"])
            #expect(answer.code == 1 && answer.json.rejected.int == 1)
            #expect(answer.json.rejects[0].string?.contains("table.csv\(place)") == true)
        }

        @Test
        func `a key column that is not there is a usage error that names those that are`() throws {
            let cluster = try Cluster("Acme")
            let file = try cluster.folder.file("table.csv", "code,name\nA,one\n")
            let outcome = try cluster[0].command("import", file, "--kind", "need", "--key", "id")
            #expect(outcome.code == 2)
            #expect(outcome.errors.contains("code"))
            let mapped = try cluster[0].command(
                "import",
                file,
                "--kind",
                "need",
                "--key",
                "code",
                "--column",
                "name=title"
            )
            #expect(mapped.code == 2)
            #expect(mapped.errors.contains("title"))
        }

        @Test
        func `line breaks in cells, CRLF, the byte order mark and odd keys are read right`() throws {
            let cluster = try Cluster("Acme")
            let long = String(repeating: "长", count: 341)
            let keys = ["007", "1E5", "a/b/c", "ключ «x»", " blank ", "a,\"b\"", "\u{65}\u{301}x", "\u{E9}y", long]
            let rows = keys.enumerated().map { position, key in
                "\"\(key.replacingOccurrences(of: "\"", with: "\"\""))\",\"line one\r\nline two, no. \(position)\",\(position)"
            }
            let text = "\u{FEFF}id,name,number\r\n" + rows.joined(separator: "\r\n") + "\r\n"
            let file = try cluster.folder.file("odd.csv", text)
            let load = ["import", file, "--kind", "need", "--key", "id", "--json"]
            #expect(try cluster[0].done(load).json.created.int == keys.count)
            #expect(try cluster[0].done(load).json.unchanged.int == keys.count)
            for (position, key) in keys.enumerated() {
                let record = try cluster[0].done("get", "Acme/need/\(key)", "--json").json
                #expect(Array(record.localId.string?.utf8 ?? "".utf8) == Array(key.utf8))
                #expect(record.fields["ext/number"].string == "\(position)")
                #expect(record.name.string?.contains("line two, no. \(position)") == true)
            }
            // One byte longer than the maximum of a key.
            let over = try cluster.folder.file("over.csv", "id,name\n\(long)xx,n\n")
            let outcome = try cluster[0].command("import", over, "--kind", "need", "--key", "id")
            #expect(outcome.code == 1)
            #expect(outcome.errors.contains("over.csv:2:1"))
        }

        @Test
        func `a table compressed, from standard input, or of JSON lines is loaded`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let plain = try cluster.folder.file("plain.csv", "id,name,tags\nA,one,x;y\nB,two,\n")
            let gzip = try ChildProcess("gzip", ["-k", plain], environment: ["PATH": "/usr/bin:/bin"])
            #expect(gzip.wait() == 0)
            let words = ["--kind", "need", "--key", "id", "--json"]
            #expect(try node.done(["import", plain + ".gz"] + words).json.created.int == 2)
            let data = try #require(FileManager.default.contents(atPath: plain))
            let packed = try #require(FileManager.default.contents(atPath: plain + ".gz"))
            #expect(try node.done(["import", "-"] + words, input: data).json.unchanged.int == 2)
            #expect(try node.done(["import", "-"] + words, input: packed).json.unchanged.int == 2)
            #expect(node.stop() == 0)
            #expect(try node.done(["import", "-"] + words, input: data).json.unchanged.int == 2)
            #expect(try node.start())

            let lines =
                "{\"id\":\"A\",\"name\":\"one\",\"tags\":[\"x\",\"z\"]}\n{\"id\":\"C\",\"name\":{\"zh\":\"三\"}}\n"
            let answer = try node.done(["import", "-"] + words, input: Data(lines.utf8)).json
            #expect(answer.created.int == 1 && answer.updated.int == 1)
            #expect(try node.fields(of: "Acme/need/A")?["tags"] == .list([.text("x"), .text("z")]))
            #expect(try node.fields(of: "Acme/need/C")?["name/zh"]?.string == "三")
            #expect((try? FileManager.default.contentsOfDirectory(atPath: node.folder + "/spool")) ?? [] == [])
        }
    }
}
