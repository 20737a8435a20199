import Foundation
import TestSupport

/// Measures loading files, and receiving their records from another node.
extension LoadedNode {
    private func rate(
        _ scenario: String,
        seconds: Double,
        reference: Double?,
        node: HansaProcess,
        count: Int? = nil
    ) -> Measurement {
        Measurement(
            scenario: scenario,
            figure: Double(count ?? source.count) / seconds,
            unit: "records/s",
            reference: reference,
            rssBytes: Facts.peakMemory(of: node.processIdentifier),
            diskBytes: Facts.bytes(in: node.folder)
        )
    }

    /// Loads JSON lines into an empty node. Also measures the disk space per record.
    func importLines() async throws -> [Measurement] {
        let plain = try plain()
        let node = try await author()
        try check([node])
        let perRecord = Double(Facts.bytes(in: node.folder)) / Double(source.count)
        return [
            rate("import-jsonl", seconds: loadSeconds, reference: plain.rowsPerSecond, node: node),
            Measurement(
                scenario: "import-jsonl/disk-per-record",
                figure: perRecord,
                unit: "bytes",
                reference: Double(lineBytes) / Double(source.count)
            ),
        ]
    }

    /// Loads the same records as a table into a separate alliance.
    func importTable() throws -> [Measurement] {
        guard source.isMade else { throw BenchFailure("import-csv makes its own records; leave out --records-file") }
        let file = scratch("records.csv")
        try source.writeTable(file, 0..<source.count)
        var apart = Nodes(scratch, prefix: "table")
        let node = try apart.add()
        let seconds = try load(file, into: node, created: source.count)
        try check([node])
        defer { node.stop() }
        try FileManager.default.removeItem(atPath: file)
        return [rate("import-csv", seconds: seconds, reference: try plain().rowsPerSecond, node: node)]
    }

    /// Loads the same file again; the node writes nothing.
    func reimport() async throws -> [Measurement] {
        let node = try await author()
        let before = try node.status()
        let seconds = try load(lines(), into: node)
        guard try node.status().frontier.description == before.frontier.description else {
            throw BenchFailure("loading a file again wrote something")
        }
        let result = rate("reimport", seconds: seconds, reference: Double(source.count) / loadSeconds, node: node)
        try check([node])
        return [result]
    }

    /// Loads the file with one percent changed, while another node follows. Also measures the traffic between them.
    func reimportChanged() async throws -> [Measurement] {
        guard source.isMade else { throw BenchFailure("reimport-1pct makes its own records; leave out --records-file") }
        let node = try await author()
        let follower = try member()
        try await awaitDigest(of: node, at: follower)
        let file = scratch("changed.jsonl")
        try source.writeJSONLines(file, 0..<source.count, changedPercent: 1)
        let changed = (0..<source.count).count { $0 % 100 < 1 }
        let before = try await Nodes.bytesOnTheWire([node, follower])
        let seconds = try load(file, into: node, updated: changed)
        while try follower.digest() != node.digest() { try await Task.sleep(for: .milliseconds(20)) }
        let bytes = try await Nodes.bytesOnTheWire([node, follower]) - before
        // Restores the records for the next scenarios.
        try load(lines(), into: node, updated: changed)
        while try follower.digest() != node.digest() { try await Task.sleep(for: .milliseconds(20)) }
        try check([node, follower])
        follower.stop()
        return [
            rate("reimport-1pct", seconds: seconds, reference: Double(source.count) / loadSeconds, node: node),
            Measurement(
                scenario: "reimport-1pct/wire-per-change",
                figure: Double(bytes) / Double(changed),
                unit: "bytes",
                reference: Double(lineBytes) / Double(source.count)
            ),
        ]
    }

    /// A new member receives everything.
    func catchUp() async throws -> [Measurement] {
        let node = try await author()
        let stream = try SecureStream(scratch: scratch).run(file: lines(), texts: source.texts)
        try? FileManager.default.removeItem(atPath: scratch("plain-stream"))
        let late = try newcomer()
        let wire = try await Nodes.bytesOnTheWire([node])
        let begin = ContinuousClock.now
        try Nodes.start(late)
        try await awaitDigest(of: node, at: late)
        let seconds = begin.duration(to: .now) / .seconds(1)
        let bytes = try await Nodes.bytesOnTheWire([node, late]) - wire
        try check([node, late])
        let result = rate("catch-up", seconds: seconds, reference: stream.rowsPerSecond, node: late)
        late.stop()
        return [
            result,
            Measurement(
                scenario: "catch-up/wire-per-record",
                figure: Double(bytes) / Double(source.count),
                unit: "bytes",
                reference: Double(lineBytes) / Double(source.count)
            ),
            Measurement(
                scenario: "catch-up/sender",
                figure: Double(source.count) / seconds,
                unit: "records/s",
                rssBytes: Facts.peakMemory(of: node.processIdentifier)
            ),
        ]
    }

    /// Two nodes of two organizations each load half of the records at once, and receive the other half.
    func twoWriters() async throws -> [Measurement] {
        let half = source.count / 2
        let files = [scratch("first.jsonl"), scratch("second.jsonl")]
        try source.writeJSONLines(files[0], 0..<half)
        try source.writeJSONLines(files[1], half..<source.count)
        var apart = Nodes(scratch, prefix: "pair")
        let pair = [try apart.add(), try apart.add()]
        // The reference: one node loads everything, and a third one fetches half.
        _ = try await author()
        let begin = ContinuousClock.now
        let processes = try zip(pair, files).map { node, file in
            try node.begin(source.words(importing: file))
        }
        for process in processes {
            guard process.wait(seconds: Self.patience) == 0 else { throw BenchFailure("an import failed") }
        }
        for node in pair { try await awaitRecords(half * 2, at: node) }
        let seconds = begin.duration(to: .now) / .seconds(1)
        let fresh = try apart.make()
        let fetch = ContinuousClock.now
        try Nodes.start(fresh)
        try await awaitRecords(half * 2, at: fresh)
        let fetchSeconds = fetch.duration(to: .now) / .seconds(1) / 2
        try check(pair + [fresh])
        defer { for node in apart.all { node.stop() } }
        return [
            Measurement(
                scenario: "two-writers",
                figure: seconds,
                unit: "s",
                reference: loadSeconds + fetchSeconds,
                rssBytes: Facts.peakMemory(of: pair[0].processIdentifier),
                diskBytes: Facts.bytes(in: pair[0].folder)
            )
        ]
    }
}
