import Catalog
import Commands
import Foundation
import Glibc
import Replica
import TestSupport
import Testing

/// Structured values from other members: every command answers for any value, and its answer can be decoded.
@Suite("Structured values of any shape")
struct StructuredValueTests {
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

    /// Runs a command as the socket's server does, and decodes the answer as the program does.
    private func answer<C: Command>(_ command: C) async throws -> C.Output {
        let output: C.Output = try await InProcess(replica).answer(command)
        // The program prints it in this form.
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        _ = try encoder.encode(output)
        return output
    }

    /// Writes a value that no import would write.
    private func write(_ value: Value, of id: String) async throws {
        let identity = RecordIdentity(kind: "need", localID: id)
        let draft = Planner.upsert(
            identity,
            key: identity.key(replica.cryptography),
            over: nil,
            changes: [
                (FieldPath(unchecked: "name/und"), .set(.text("odd \(id)"))),
                (FieldPath(unchecked: "ext/x"), .set(value)),
                (FieldPath(unchecked: "tags"), .elements([value])),
            ],
            settling: .settles
        )
        _ = try await replica.ownLog.commit { _ in (draft.map { [$0] } ?? [], { _ in }) }
    }

    private static func nested(_ depth: Int, _ open: String = "[", _ close: String = "]") -> String {
        String(repeating: open, count: depth) + String(repeating: close, count: depth)
    }

    /// Values that are too deep, or that programs parse differently: shown as text.
    private static let shownAsText = [
        nested(65), nested(500), nested(509), nested(511), nested(512), nested(20_000), nested(509, "{\"a\":[", "]}"),
        nested(300, "{\"a\":", "}"), String(repeating: "[", count: 60_000), "{\"a\":1,\"a\":2}", "\"\\ud800\"",
        "[\"\\udfff\"]",
        "1e999999999", "123456789012345678901234567890", "", "nonsense", "[1,]",
    ]
    private static let shownByParts = [
        nested(64), "[1e999999999,-1e-999999999]", "[0.1,1.50,9007199254740993,-0]", "{\"\\u0000\":\"\\u0000\"}",
        "{\"e\u{301}\":1,\"\u{E9}\":2}",
    ]

    @Test("Every command gives a readable answer", arguments: shownAsText + shownByParts)
    func answers(_ text: String) async throws {
        defer {
            replica.close()
            if let token = VolatileToken(folder: replica.folder, hasher: SystemCryptography()) { unlink(token.file) }
        }
        try await write(.json(text), of: "r")
        let name = "O/need/r"
        let record = try await answer(GetCommand(id: name))
        let found = try await answer(SearchCommand(text: "odd", kind: nil, owner: nil, limit: 20))
        #expect(found.hits.count == 1)
        let why = try await answer(WhyCommand(id: name, field: nil))
        #expect(!why.fields.isEmpty)
        _ = try await answer(ConflictsCommand(id: name))
        for format in [ExportCommand.Format.csv, .jsonl] {
            let export = ExportCommand(kind: "need", owner: nil, format: format, isForSpreadsheet: false)
            let texts = try await InProcess(replica).elements(of: export).map { element in
                if case .text(let text) = element { text } else { "" }
            }
            #expect(texts.joined().contains("odd r"))
        }
        #expect((record.fields["ext/x"] == .string(text)) == Self.shownAsText.contains(text))
    }

    @Test("Numbers keep their digits")
    func numbers() {
        func shown(_ text: String) -> JSONValue { JSONValue(Value.json(text)) }
        #expect(shown("[1e999999999]") == .array([.string("1e999999999")]))
        #expect(shown("[1e-999999999]") == .array([.string("1e-999999999")]))
        #expect(shown("[9223372036854775807]") == .array([.integer(.max)]))
        #expect(shown("[9223372036854775808]") == .array([.string("9223372036854775808")]))
        #expect(shown("[0.12345678901234567]") == .array([.string("0.12345678901234567")]))
        #expect(shown("[1.5,0.0,1e3,-2]") == .array([.number(1.5), .number(0), .number(1000), .integer(-2)]))
        #expect(shown(Self.nested(64)) != .string(Self.nested(64)))
        #expect(shown(Self.nested(65)) == .string(Self.nested(65)))
    }
}
