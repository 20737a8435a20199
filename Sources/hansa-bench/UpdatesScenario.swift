import Client
import Commands
import Foundation
import TestSupport

/// Measures the cost of history: many changes of one field per record, and their size on disk.
struct UpdatesScenario {
    private let scratch: TemporaryFolder
    private let updates: Int

    init(_ scratch: TemporaryFolder, updates: Int) {
        self.scratch = scratch
        self.updates = updates
    }

    /// The content bytes of a changed quantity: the salt and one small number (Docs/Protocol.md).
    private static let contentBytes = 23.0

    func run() async throws -> [Measurement] {
        var nodes = Nodes(scratch)
        let node = try nodes.add()
        let records = max(100, updates / 100)
        let file = scratch("updates.jsonl")
        func load(_ revision: Int) throws {
            let lines = (0..<records).map { RecordGenerator.record($0, revision: revision).json + [UInt8(ascii: "\n")] }
            try Data(lines.joined()).write(to: URL(fileURLWithPath: file))
            try node.done("import", file, "--kind", RecordGenerator.kind, "--key", "id")
        }
        func size() throws -> Int {
            node.stop()
            try Nodes.start(node)
            return Facts.bytes(in: node.folder)
        }
        try load(0)
        let empty = try size()
        let rounds = updates / records
        let begin = ContinuousClock.now
        for revision in 1...rounds { try load(revision) }
        let seconds = begin.duration(to: .now) / .seconds(1)
        let many = try size()
        let edits = min(2_000, updates)
        let client = try await Nodes.client(node.folder)
        for number in 0..<edits {
            guard let word = EditWord("quantity=\(1_000 + number)") else { throw BenchFailure("no change") }
            let id = "Organization 0/\(RecordGenerator.kind)/R-" + String(format: "%07d", number % records)
            _ = try await client.call(EditCommand(id: id, words: [word], create: false))
        }
        let single = try size()
        guard try node.done("verify", "--deep", "--json").json.sound.bool == true else {
            throw BenchFailure("the node is not sound after its updates")
        }
        defer { node.stop() }
        return [
            Measurement(
                scenario: "updates",
                figure: Double(rounds * records) / seconds,
                unit: "updates/s",
                rssBytes: Facts.peakMemory(of: node.processIdentifier),
                diskBytes: single
            ),
            Measurement(
                scenario: "updates/disk-in-large-deltas",
                figure: Double(many - empty) / Double(rounds * records) - Self.contentBytes,
                unit: "bytes beside the content"
            ),
            Measurement(
                scenario: "updates/disk-one-by-one",
                figure: Double(single - many) / Double(edits) - Self.contentBytes,
                unit: "bytes beside the content"
            ),
        ]
    }
}
