import Commands
import Foundation
import Glibc
import OpenSSLKit
import Replica
import TestSupport
import Testing

/// Commands over a replica, without a socket.
@Suite("Commands in process")
struct CommandTests {
    private let scratch: TemporaryFolder
    private let replica: Replica

    init() async throws {
        scratch = try TemporaryFolder()
        let folder = DataFolder(scratch("node"))
        _ = try await NodeFolder.found(
            alliance: "A",
            organization: "O",
            settings: Settings(listen: "127.0.0.1:0"),
            protection: .none,
            in: folder
        )
        replica = try Replica(opening: folder)
    }

    private func close() {
        replica.close()
        if let token = VolatileToken(folder: replica.folder, hasher: SystemCryptography()) { unlink(token.file) }
    }

    private func load(columns: [String] = []) -> ImportCommand {
        ImportCommand(
            displayName: "t.csv",
            kind: "need",
            key: "id",
            columns: columns,
            isDryRun: false,
            format: nil,
            encoding: nil
        )
    }

    private func failure(_ body: () async throws -> Void) async throws -> Failure {
        do {
            try await body()
        } catch {
            return try #require(error as? Failure)
        }
        throw Failure(.internal, "nothing was thrown")
    }

    // MARK: - Access

    @Test("Each command refuses a caller with less than its access, and no other")
    func accessIsChecked() throws {
        defer { close() }
        for (operation, entry) in CommandTable.entries {
            #expect(operation == entry.endpoint.operation)
            for access in Access.allCases {
                do {
                    _ = try InProcess(replica, access: access).received(operation, json: Data("[]".utf8))
                } catch let error as Failure {
                    #expect(error.reason == (access < entry.endpoint.access ? .accessLacking : .badRequest))
                }
            }
        }
    }

    @Test("A reader cannot write, and a refused command does nothing")
    func readerCannotWrite() async throws {
        defer { close() }
        let edit = EditCommand(id: "O/need/x", words: [EditWord("name=x")!], create: true)
        let refused = try await failure { _ = try await InProcess(replica, access: .reader).answer(edit) }
        #expect(refused.reason == .accessLacking)
        // The same check without JSON in between.
        let caller = Caller(.user(1), access: .reader)
        let direct = try await failure {
            _ = try await CommandTable.run(edit, in: CommandContext(replica: replica, service: nil, caller: caller))
        }
        #expect(direct.reason == .accessLacking)
        let missing = try await failure {
            _ = try await InProcess(replica, access: .reader).answer(GetCommand(id: "O/need/x"))
        }
        #expect(missing.reason == .noSuchRecord)
        _ = try await InProcess(replica, access: .editor).answer(edit)
        #expect(try await InProcess(replica, access: .reader).answer(GetCommand(id: "O/need/x")).name == "x")
    }

    // MARK: - Imports

    @Test("An import reports its progress in order, and answers last")
    func progressIsInOrder() async throws {
        defer { close() }
        let rows = (1...5_000).map { "R\($0),name \($0)\n" }.joined()
        let file = try scratch.file("t.csv", "id,name\n" + rows)
        let elements = try await InProcess(replica, file: FileBody(path: file)).elements(of: load())
        guard case .answer(let output)? = elements.last else { throw Failure(.internal, "no answer: \(elements)") }
        #expect(output.created == 5_000 && !output.interrupted)
        let progress = elements.dropLast().compactMap { if case .progress(let progress) = $0 { progress } else { nil } }
        #expect(progress.count == elements.count - 1)
        let phases = progress.map(\.phase)
        #expect(phases.first == .checking && phases.contains(.writing))
        #expect(phases.lastIndex(of: .checking).map { $0 < phases.firstIndex(of: .writing)! } == true)
        for (before, after) in zip(progress, progress.dropFirst()) where before.phase == after.phase {
            #expect(before.done <= after.done)
        }
        #expect(progress.filter { $0.phase == .writing }.allSatisfy { $0.total == 5_000 })
    }

    @Test("A request names no file of the node: the rows come with it")
    func requestNamesNoFile() async throws {
        defer { close() }
        let secret = try scratch.file("secret.csv", "id,name\nS,secret\n")
        // Unknown members of a request name no file: without a body there is none.
        let json =
            #"{"displayName":"\#(secret)","file":"\#(secret)","path":"\#(secret)","kind":"need","key":"id","#
            + #""columns":[],"isDryRun":false}"#
        guard case .stream(let run) = try InProcess(replica).received("import", json: Data(json.utf8)) else {
            throw Failure(.internal, "an import is a stream")
        }
        var lines: [Data] = []
        let context = CommandContext(replica: replica, service: nil, caller: .process)
        try await run(context, { try await $0() }) { lines.append($0) }
        let last = try JSONDecoder().decode(StreamLine<ImportCommand.Element>.self, from: try #require(lines.last))
        guard case .failure(let failure) = last else { throw Failure(.internal, "\(last)") }
        #expect(failure.reason == .badRequest)
        #expect(try replica.totals().records == 1)
    }

    @Test("A column for a field that the kind lacks is refused as an edit refuses it")
    func unknownFieldsAreRefused() async throws {
        defer { close() }
        let file = try scratch.file("t.csv", "id,name,X\nA,a,1\n")
        let caller = InProcess(replica, file: FileBody(path: file))
        let imported = try await failure { _ = try await caller.elements(of: load(columns: ["descripton=X"])) }
        let edited = try await failure {
            let edit = EditCommand(id: "O/need/A", words: [EditWord("descripton=1")!], create: true)
            _ = try await caller.answer(edit)
        }
        #expect(imported == edited)
        #expect(imported.reason == .noSuchField && imported.fix == .useOwnField(field: "descripton"))
        #expect(imported.candidates.map(\.id) == ["description"])
        #expect(try replica.totals().records == 1)
        for column in ["ext/nonsense=X", "description.zh=X", "description=X"] {
            _ = try await caller.elements(of: load(columns: [column]))
        }
    }

    @Test("A cancelled import answers with the number of rows written")
    func cancelledImportAnswers() async throws {
        defer { close() }
        let rows = 60_000
        let file = try scratch.file("t.csv", "id,name\n" + (1...rows).map { "R\($0),name \($0)\n" }.joined())
        let context = CommandContext(replica: replica, service: nil, caller: .process, body: FileBody(path: file))
        let command = load()
        // The task's end is awaited below.
        let work = Task {
            try await CommandTable.run(command, in: context) { stream in
                var answer: ImportCommand.Output?
                while let elements = try await stream.take() {
                    for element in elements {
                        switch element {
                        case .progress(let progress) where progress.phase == .writing:
                            withUnsafeCurrentTask { $0?.cancel() }
                        case .progress: break
                        case .answer(let output): answer = output
                        }
                    }
                }
                return answer
            }
        }
        let answer = try #require(try await work.value)
        #expect(answer.interrupted)
        let written = try Int(replica.totals().records) - 1
        #expect(answer.created == written && written < rows)
    }

    @Test("A copy takes half of the room at most, and leaves no name")
    func copiesAreBounded() throws {
        defer { close() }
        guard let disk = SmallDisk(megabytes: 8) else { return }
        let spool = try SpoolFile(in: DataFolder(disk.path), name: "zeros")
        let zeros = ReadableFile(owning: open("/dev/zero", O_RDONLY | O_CLOEXEC), name: "zeros")
        #expect {
            try spool.copy(zeros) { false }
        } throws: { error in
            (error as? Failure)?.reason == .noRoom
        }
        #expect((3 << 20...4 << 20).contains(spool.byteCount))
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path + "/spool") == [])
    }

    // MARK: - Names

    @Test("A mistyped kind is refused with the nearest one")
    func mistypedKind() async throws {
        defer { close() }
        let error = try await failure { _ = try await InProcess(replica).answer(GetCommand(id: "O/capabilty/1")) }
        #expect(error.reason == .noSuchKind && error.candidates.map(\.id) == ["capability"])
    }

    @Test("Settling a name answers with the name that was chosen")
    func settlingAnswersWithNewName() async throws {
        defer { close() }
        let caller = InProcess(replica, access: .editor)
        _ = try await caller.answer(EditCommand(id: "O/need/x", words: [EditWord("name=old")!], create: true))
        let settled = try await caller.answer(SettleCommand(id: "O/need/x", field: "name", value: "new"))
        #expect(settled.name == "new" && settled.action == "updated")
    }

    @Test("An export ends with the number of its records")
    func exportCounts() async throws {
        defer { close() }
        let file = try scratch.file("t.csv", "id,name\n" + (1...2_500).map { "R\($0),name \($0)\n" }.joined())
        _ = try await InProcess(replica, file: FileBody(path: file)).elements(of: load())
        for format in [ExportCommand.Format.csv, .jsonl] {
            let export = ExportCommand(kind: "need", owner: nil, format: format, isForSpreadsheet: false)
            let elements = try await InProcess(replica, access: .reader).elements(of: export)
            guard case .answer(let output)? = elements.last else { throw Failure(.internal, "no answer") }
            #expect(output.records == 2_500)
            let text = elements.map { if case .text(let text) = $0 { text } else { "" } }.joined()
            #expect(text.utf8.count { $0 == UInt8(ascii: "\n") } == (format == .csv ? 2_501 : 2_500))
        }
    }
}
