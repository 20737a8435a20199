import Client
import Commands
import Foundation
import TestSupport

/// Loads a large table on one node while two others catch up; a fourth node joins later.
struct CitiesScenario {
    private static let records = 117_554
    private let scratch: TemporaryFolder

    init(_ scratch: TemporaryFolder) {
        self.scratch = scratch
    }

    func run() async throws -> [Measurement] {
        guard let data = ProcessInfo.processInfo.environment["HANSA_TEST_DATA"] else {
            throw BenchFailure("set HANSA_TEST_DATA to the folder with the real data sets")
        }
        let file = data + "/geonames/cities500-even.csv.gz"
        let rows = try rows(of: file)
        let plain = try PlainSQLite.run(in: scratch("plain"), count: rows.count) { rows[$0] }
        var nodes = Nodes(scratch)
        let author = try nodes.add()
        let others = [try nodes.add(), try nodes.add()]

        let folders = others.map(\.folder)
        let begin = ContinuousClock.now
        async let first = Self.caughtUp(folders[0], since: begin)
        async let second = Self.caughtUp(folders[1], since: begin)
        let load = try author.begin(
            Self.load(file),
            output: scratch("import.json")
        )
        while load.isRunning { try await Task.sleep(for: .milliseconds(5)) }
        let seconds = begin.duration(to: .now) / .seconds(1)
        let answer = JSONTree(FileManager.default.contents(atPath: scratch("import.json")) ?? Data())
        guard answer.created.int == Self.records else { throw BenchFailure("the import gave \(answer)") }
        var results = [
            measurement("cities/import", seconds, plain, author),
            measurement("cities/follow-1", try await first, plain, others[0]),
            measurement("cities/follow-2", try await second, plain, others[1]),
        ]
        let late = try nodes.make()
        let started = ContinuousClock.now
        try Nodes.start(late)
        results.append(measurement("cities/late", try await Self.caughtUp(late.folder, since: started), plain, late))
        let digests = try nodes.all.map { try $0.digest() }
        guard Set(digests).count == 1 else { throw BenchFailure("the nodes do not agree") }

        let again = ContinuousClock.now
        let unchanged = try author.done(Self.load(file)).json.unchanged.int
        guard unchanged == Self.records else { throw BenchFailure("loading again changed something") }
        results.append(
            measurement("cities/import-again", again.duration(to: .now) / .seconds(1), plain, author)
        )
        results.append(
            Measurement(
                scenario: "cities/plain-sqlite",
                figure: plain.rowsPerSecond,
                unit: "rows/s",
                diskBytes: plain.diskBytes
            )
        )
        for node in nodes.all { node.stop() }
        return results
    }

    private func measurement(
        _ name: String,
        _ seconds: Double,
        _ plain: PlainSQLite.Outcome,
        _ node: HansaProcess
    ) -> Measurement {
        Measurement(
            scenario: name,
            figure: Double(Self.records) / seconds,
            unit: "rows/s",
            reference: plain.rowsPerSecond,
            rssBytes: Facts.peakMemory(of: node.processIdentifier),
            diskBytes: Facts.bytes(in: node.folder)
        )
    }

    private static func load(_ file: String) -> [String] {
        ["import", file, "--kind", "location", "--key", "geonameid", "--json"]
    }

    /// The seconds until the node has every record.
    private static func caughtUp(_ folder: String, since begin: ContinuousClock.Instant) async throws -> Double {
        let client = try await Nodes.client(folder)
        while begin.duration(to: .now) < .seconds(600) {
            if try await client.call(StatusCommand()).records >= records {
                return begin.duration(to: .now) / .seconds(1)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BenchFailure("the node in \(folder) has not caught up within ten minutes")
    }

    /// The table's rows as in the file, each with its names.
    private func rows(of file: String) throws -> [(line: [UInt8], texts: [String])] {
        let table = scratch("cities.csv")
        let gzip = try ChildProcess("gzip", ["-dc", file], environment: ["PATH": "/usr/bin:/bin"], output: table)
        guard gzip.wait() == 0, let data = FileManager.default.contents(atPath: table) else {
            throw BenchFailure("cannot unpack \(file)")
        }
        // This table has no cell with a line break.
        let rows = data.split(separator: UInt8(ascii: "\n")).dropFirst().map { line in
            let cells = Self.cells(line)
            return (line: Array(line), texts: [cells[1], cells[cells.count - 1]])
        }
        guard rows.count == Self.records else { throw BenchFailure("\(file) has \(rows.count) rows") }
        return rows
    }

    private static func cells(_ line: Data) -> [String] {
        var cells: [[UInt8]] = [[]]
        var isQuoted = false
        for byte in line {
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: ",") where !isQuoted: cells.append([])
            default: cells[cells.count - 1].append(byte)
            }
        }
        return cells.map { String(decoding: $0, as: UTF8.self) }
    }
}
