import Client
import Commands
import Foundation
import OpenSSLKit
import TestSupport

/// Measures a node with all records: searches, the start, an idle node, verification.
extension LoadedNode {
    /// Runs searches of three kinds, each a hundred times with different words. Times are in milliseconds, measured at
    /// the client.
    func search() async throws -> [Measurement] {
        let node = try await author()
        let client = try await Nodes.client(node.folder)
        let owner = "Organization 0"
        let words = [
            "spectrometer", "portable", "crane", "calibrated", "boat", "thermal", "pump", "coastal", "robot", "large",
        ]
        let characters = ["光谱", "温室", "杭州", "无人", "水泵", "校准", "沿海", "仪器", "卡车", "认证"]
        func series(_ query: (Int) -> SearchCommand) async throws -> [Double] {
            var times: [Double] = []
            for number in 0..<100 {
                let begin = ContinuousClock.now
                _ = try await client.call(query(number))
                times.append(begin.duration(to: .now) / .milliseconds(1))
            }
            return times
        }
        func command(_ text: String, kind: String? = nil, owner: String? = nil) -> SearchCommand {
            SearchCommand(text: text, kind: kind, owner: owner, limit: 20)
        }
        let kind = source.kind
        let results = [
            ("two-words", try await series { command(words[$0 % 10] + " " + words[($0 / 10 + 1 + $0) % 10]) }),
            ("two-characters", try await series { command(characters[$0 % 10]) }),
            ("one-owner-and-kind", try await series { command(words[$0 % 10], kind: kind, owner: owner) }),
        ]
        try check([node])
        return results.flatMap { name, times in
            [
                Measurement(scenario: "search/\(name)-median", figure: Facts.quantile(0.5, of: times), unit: "ms"),
                Measurement(scenario: "search/\(name)-p99", figure: Facts.quantile(0.99, of: times), unit: "ms"),
            ]
        }
    }

    /// Measures the time from the start of the process until `status` answers, and the memory at that time.
    func start() async throws -> [Measurement] {
        let node = try await author()
        node.stop()
        let begin = ContinuousClock.now
        try Nodes.start(node)
        let client = try await Nodes.client(node.folder)
        _ = try await client.call(StatusCommand())
        let seconds = begin.duration(to: .now) / .seconds(1)
        let asked = ContinuousClock.now
        for _ in 0..<50 { _ = try await client.call(StatusCommand()) }
        let results = [
            Measurement(
                scenario: "start",
                figure: seconds,
                unit: "s",
                rssBytes: Facts.memory(of: node.processIdentifier),
                diskBytes: Facts.bytes(in: node.folder)
            ),
            Measurement(scenario: "start/status", figure: asked.duration(to: .now) / .milliseconds(50), unit: "ms"),
        ]
        try check([node])
        return results
    }

    /// Measures two nodes with equal data and without work.
    func idle(seconds: Int) async throws -> [Measurement] {
        let node = try await author()
        let follower = try member()
        try await awaitDigest(of: node, at: follower)
        node.stop()
        try Nodes.start(node)
        try await Task.sleep(for: .seconds(3))
        let processes = [node.processIdentifier, follower.processIdentifier]
        let passed = try await Nodes.bytesOnTheWire([node, follower])
        let used = processes.map(Facts.processorSeconds)
        try await Task.sleep(for: .seconds(seconds))
        let cost = zip(processes.map(Facts.processorSeconds), used).map { ($0 - $1) / Double(seconds) * 100 }
        let bytes = try await Nodes.bytesOnTheWire([node, follower]) - passed
        try check([node, follower])
        let memory = Facts.memory(of: node.processIdentifier)
        follower.stop()
        return [
            Measurement(scenario: "idle/processor", figure: cost.max() ?? 0, unit: "% of a core", rssBytes: memory),
            Measurement(scenario: "idle/wire", figure: Double(bytes) / Double(seconds), unit: "bytes a second"),
        ]
    }

    /// Verifies every hash, chain and signature, then also every derived row.
    func verify() async throws -> [Measurement] {
        let node = try await author()
        let plain = try plain()
        func run(_ words: String...) throws -> Double {
            let begin = ContinuousClock.now
            guard try node.done(words + ["--json"]).json.sound.bool == true else {
                throw BenchFailure("the node in \(node.folder) is not sound")
            }
            return begin.duration(to: .now) / .seconds(1)
        }
        let bytes = Double(Facts.bytes(in: node.folder))
        // The reference: one scan of the file, and one hash of its bytes.
        let scan = ContinuousClock.now
        try Self.read(node.folder + "/directory.sqlite")
        let reference =
            scan.duration(to: .now) / .seconds(1) + Double(lineBytes) * 1.3 / RawCosts.sha256BytesPerSecond()
        let (quick, deep) = (try run("verify"), try run("verify", "--deep"))
        return [
            Measurement(scenario: "verify", figure: quick, unit: "s", reference: reference, diskBytes: Int(bytes)),
            Measurement(
                scenario: "verify-deep",
                figure: Double(source.count) / deep,
                unit: "records/s",
                reference: plain.rowsPerSecond,
                rssBytes: Facts.peakMemory(of: node.processIdentifier)
            ),
        ]
    }

    private static func read(_ path: String) throws {
        guard let file = FileHandle(forReadingAtPath: path) else { throw BenchFailure("cannot read \(path)") }
        defer { try? file.close() }
        while let data = try file.read(upToCount: 1 << 20), !data.isEmpty {}
    }

    /// Rebuilds all derived data from the log with the node stopped.
    func rebuild() async throws -> [Measurement] {
        let node = try await author()
        let digest = try node.digest()
        node.stop()
        let begin = ContinuousClock.now
        let answer = try node.done("verify", "--rebuild", "--json").json
        let seconds = begin.duration(to: .now) / .seconds(1)
        guard answer.sound.bool == true, answer.digest.string == digest else {
            throw BenchFailure("the rebuilt directory differs")
        }
        try Nodes.start(node)
        return [
            Measurement(
                scenario: "rebuild",
                figure: Double(source.count) / seconds,
                unit: "records/s",
                reference: try plain().rowsPerSecond,
                diskBytes: Facts.bytes(in: node.folder)
            )
        ]
    }
}
