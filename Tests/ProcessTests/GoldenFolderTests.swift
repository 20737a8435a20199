import Foundation
import TestSupport
import Testing

/// A folder written by an earlier program of this format version, stored in the repository.
@Suite struct GoldenFolderTests {
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Golden")

    /// A copy with the file modes, which a repository does not store.
    private func copy(to folder: String, runtime: String) throws -> HansaProcess {
        let files = FileManager.default
        try files.copyItem(atPath: Self.golden.appendingPathComponent("node").path, toPath: folder)
        for key in ["node.key", "organization.key"] {
            try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder + "/" + key)
        }
        return HansaProcess(folder: folder, runtime: runtime)
    }

    @Test func keepsTheDigestWithWhichItWasWritten() throws {
        let scratch = try TemporaryFolder()
        let node = try copy(to: scratch("node"), runtime: scratch.runtime)
        let expected = try String(contentsOf: Self.golden.appendingPathComponent("expected.txt"), encoding: .utf8)
        let verified = try node.command("verify", "--deep", "--json")
        #expect(verified.code == 0, "\(verified.output)\(verified.errors)")
        let status = try node.status()
        let found = "\"digest\":\"\(status.digest.string ?? "")\"\n\"records\":\(status.records)\n"
        #expect(found == expected)
    }

    @Test func continuesInANewIncarnationAndKeepsItsRecords() throws {
        let scratch = try TemporaryFolder()
        let node = try copy(to: scratch("node"), runtime: scratch.runtime)
        #expect(try node.status().frontier.array.count == 1)
        #expect(try node.command("edit", "Golden Works/resource/19E7", "status=active").code == 0)
        #expect(try node.status().frontier.array.count == 2)
        let fields = try node.command("get", "Golden Works/resource/0007", "--json").json.fields
        #expect(fields["name/zh"].string == "振动试验台")
        #expect(fields["status"].string == "suspended")
        #expect(fields["tags"] == .list([.text("edited"), .text("振动")]))
        #expect(try node.command("get", "Golden Works/need/n-1", "--json").code == 0)
        #expect(try node.command("search", "管网", "--json").json.total.int == 1)
        #expect(try node.command("verify", "--deep").code == 0)
    }
}
