import Foundation
import Replica
import Server
import Testing
import hansa

/// Failures as users and scripts see them.
struct FailureTests {
    /// Maps each reason's slug to its number.
    private static func table(_ groups: [Int: String]) -> [String: Int] {
        var table: [String: Int] = [:]
        for (number, slugs) in groups {
            for slug in slugs.split(whereSeparator: \.isWhitespace) { table["\(slug)"] = number }
        }
        return table
    }

    /// The contract with scripts. Add lines; never change one.
    private static let exitCodes = table([
        1: """
        no-such-record no-such-member record-deleted record-unnamed field-not-held nothing-to-settle
        file-changed bad-gzip bad-encoding bad-header bad-file cancelled
        """,
        2: """
        usage bad-request request-too-long bad-record-name no-such-kind no-such-field bad-field-name
        bad-local-id bad-name bad-value holds-one-value name-missing value-too-long record-too-large
        bad-address bad-setting bad-expiry voucher-damaged own-node file-unreadable
        unknown-format no-such-format no-such-encoding bad-mapping no-key-column no-node-here
        not-a-data-folder bad-path no-passphrase port-not-permitted cannot-listen not-a-ticket
        ticket-damaged wrong-ticket-kind ticket-not-dialable
        """,
        3: """
        node-not-running node-stopped node-stopping node-silent peer-unreachable
        peer-silent bad-answer inviter-unreachable
        """,
        4: """
        ambiguous-record ambiguous-member not-owner looks-alike visibility-unsupported key-elsewhere
        other-user access-lacking no-address-to-dial invitation-refused invitation-used invitation-expired
        invitation-revoked invitation-unknown invitation-for-another bad-join-request name-taken
        name-differs join-refused wrong-alliance not-admitted
        """,
        5: """
        versions-differ internal
        """,
        6: """
        disk-full no-room disk-refused disk-failed
        """,
        7: """
        folder-incomplete data-damaged older-format newer-format key-missing key-damaged
        """,
        8: """
        node-here-already folder-in-use database-locked rebuild-pending port-in-use address-unavailable
        name-unresolved too-few-descriptors
        """,
        9: """
        key-exposed wrong-key wrong-passphrase passphrase-needed passphrases-differ
        """,
    ])

    /// The contract with clients of the server.
    private static let statuses = table([
        400: """
        usage bad-request bad-record-name no-such-kind no-such-field bad-field-name bad-local-id bad-name
        bad-value holds-one-value name-missing value-too-long record-too-large bad-address
        bad-setting bad-expiry voucher-damaged own-node no-such-format no-such-encoding bad-mapping
        no-key-column no-passphrase not-a-ticket ticket-damaged wrong-ticket-kind ticket-not-dialable
        """,
        403: """
        not-owner visibility-unsupported key-exposed wrong-key key-elsewhere wrong-passphrase
        passphrase-needed passphrases-differ other-user access-lacking invitation-refused invitation-used
        invitation-expired invitation-revoked invitation-unknown invitation-for-another bad-join-request
        join-refused wrong-alliance not-admitted
        """,
        404: """
        no-such-record no-such-member field-not-held no-node-here not-a-data-folder
        """,
        409: """
        ambiguous-record ambiguous-member record-unnamed nothing-to-settle looks-alike file-changed
        node-here-already folder-in-use database-locked rebuild-pending port-in-use address-unavailable
        name-unresolved too-few-descriptors port-not-permitted cannot-listen no-address-to-dial name-taken
        name-differs
        """,
        410: """
        record-deleted
        """,
        413: """
        request-too-long
        """,
        422: """
        file-unreadable unknown-format bad-gzip bad-encoding bad-header bad-file cancelled bad-path
        """,
        500: """
        folder-incomplete data-damaged older-format newer-format key-missing key-damaged versions-differ
        internal
        """,
        503: """
        node-not-running node-stopped node-stopping node-silent peer-unreachable peer-silent bad-answer
        inviter-unreachable
        """,
        507: """
        disk-full no-room disk-refused disk-failed
        """,
    ])

    /// One example of each fix.
    private static let fixes: [Fix] = [
        .startNode, .restartNode, .foundOrJoin, .joinAgain, .nameDataFolder, .nameAnotherFolder, .freeFolder, .verify,
        .rebuild, .finishRebuild, .hideFile(path: "x y"), .showConflicts(record: "x y"), .showHistory(record: "x y"),
        .showRecord(record: "x y"), .settleDeletion(record: "x y"), .createAgain, .addName, .setField(field: "x y"),
        .useOwnField(field: "x y"), .listMembers, .nameFormat, .nameEncoding, .freePort, .listenElsewhere,
        .awaitNetwork, .awaitNames, .useHighPort, .advertise, .nameOrganization, .omitOrganization,
        .askForDialableTicket, .retryWithInviter,
    ]

    @Test func `every reason has its exit code`() {
        #expect(Reason.allCases.count == Self.exitCodes.count)
        for reason in Reason.allCases {
            #expect(Self.exitCodes[reason.rawValue] == Int(reason.exitStatus.rawValue), "\(reason)")
        }
    }

    @Test func `every reason has its HTTP status`() {
        #expect(Reason.allCases.count == Self.statuses.count)
        for reason in Reason.allCases { #expect(Self.statuses[reason.rawValue] == reason.status, "\(reason)") }
    }

    @Test func `slugs are lower case words with hyphens`() throws {
        let form = try Regex("[a-z]+(-[a-z]+)*")
        for reason in Reason.allCases { #expect(reason.rawValue.wholeMatch(of: form) != nil, "\(reason)") }
    }

    @Test func `every fix has a hint, and the commands it names exist`() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/hansa/Commands")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        let commands = Set(files.map { $0.lowercased().replacingOccurrences(of: ".swift", with: "") })
        let named = try Regex("hansa ([a-z]+)", as: (Substring, Substring).self)
        for fix in Self.fixes {
            #expect(!fix.hint.isEmpty)
            for match in fix.hint.matches(of: named) { #expect(commands.contains("\(match.output.1)"), "\(fix.hint)") }
        }
        #expect(Set(Self.fixes.map(\.hint)).count == Self.fixes.count)
    }

    @Test func `a hint repeats the fix's parameter`() {
        for fix in Self.fixes where "\(fix)".contains("x y") { #expect(fix.hint.contains("x y"), "\(fix)") }
    }

    @Test func `every fix is read as it was written`() throws {
        for fix in Self.fixes {
            let data = try JSONEncoder().encode(Failure(.usage, "no", fix: fix))
            #expect(try JSONDecoder().decode(Failure.self, from: data).fix == fix)
        }
        let record = try JSONEncoder().encode(Fix.showRecord(record: "a"))
        #expect(String(decoding: record, as: UTF8.self) == #"{"show-record":{"record":"a"}}"#)
    }

    @Test func `a failure is read as it was written`() throws {
        let failure = Failure(
            .ambiguousRecord,
            "several",
            candidates: [
                Failure.Candidate(id: "ab", name: "A"), Failure.Candidate(id: "ac", name: nil, deleted: true),
            ],
            details: ["and more"]
        )
        let data = try JSONEncoder().encode(failure)
        #expect(try JSONDecoder().decode(Failure.self, from: data) == failure)
    }

    @Test func `an unknown reason or fix of a newer node is read`() throws {
        let text = #"{"reason":"moon-full","message":"no","candidates":[],"details":[],"fix":{"howl":{"at":"moon"}}}"#
        let failure = try JSONDecoder().decode(Failure.self, from: Data(text.utf8))
        #expect(failure == Failure(.internal, "no"))
    }

    @Test func `as JSON a failure has every key, with null or an empty list where there is nothing`() throws {
        func document(_ failure: Failure) throws -> [String: Any] {
            let text = ErrorReport(isJSON: true).text(failure).rendered(colours: false)
            let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(object.keys.sorted() == ["error"])
            return try #require(object["error"] as? [String: Any])
        }
        let keys = ["candidates", "code", "details", "fix", "hint", "message", "reason"]
        let bare = try document(Failure(.noSuchRecord, "none"))
        #expect(bare.keys.sorted() == keys)
        #expect(bare["fix"] is NSNull && bare["hint"] is NSNull)
        #expect((bare["candidates"] as? [Any])?.isEmpty == true && (bare["details"] as? [Any])?.isEmpty == true)
        #expect(bare["code"] as? Int == 1 && bare["reason"] as? String == "no-such-record")
        let candidate = Failure.Candidate(id: "ab", name: nil, deleted: true)
        let full = try document(
            Failure(.nodeNotRunning, "no", candidates: [candidate], details: ["d"], fix: .startNode)
        )
        #expect(full.keys.sorted() == keys)
        #expect(full["hint"] as? String == "start it with 'hansa run'")
        let shown = try #require((full["candidates"] as? [[String: Any]])?.first)
        #expect(shown.keys.sorted() == ["deleted", "id", "name"] && shown["name"] is NSNull)
    }

    @Test func `as text a failure is a sentence with its hint, then candidates, then details`() {
        let failure = Failure(
            .ambiguousRecord,
            "several\nrecords",
            candidates: [
                Failure.Candidate(id: String(repeating: "a", count: 64), name: "A"),
                Failure.Candidate(id: "bb", name: nil, deleted: true),
            ],
            details: ["and more"],
            fix: .showRecord(record: "a\nb")
        )
        let lines = ErrorReport(isJSON: false).text(failure).rendered(colours: false).split(separator: "\n")
        #expect(lines.count == 4, "\(lines)")
        #expect(lines.first?.hasSuffix("; 'hansa get a⟨LF⟩b' shows those it has") == true, "\(lines)")
        #expect(lines.dropFirst() == ["  aaaaaaaaaaaaaaaa  A", "  bb  (deleted)", "  and more"])
    }
}
