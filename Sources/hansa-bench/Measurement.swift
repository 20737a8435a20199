import Foundation
import Glibc

/// One figure, beside what the same machine does in the same run without the node.
struct Measurement: Encodable {
    /// The scenario and what of it was measured, as in `cities/import`.
    let scenario: String
    let figure: Double
    let unit: String
    /// The raw cost, in the same unit; nil where there is none to compare with.
    var reference: Double?
    /// The largest memory that the process has had, or where the scenario is about idleness what it has.
    var rssBytes: Int?
    /// What the folder takes on disk afterwards.
    var diskBytes: Int?

    /// True for what is the better the less it is: times, bytes, shares of a core.
    private var isCost: Bool { !unit.hasSuffix("/s") }
    /// Rate by reference rate, or the reference's cost by the cost: the higher, the better.
    private var ratio: Double? { reference.map { isCost ? $0 / figure : figure / $0 } }

    private enum CodingKeys: String, CodingKey {
        case scenario, figure, unit, reference, ratio, rssBytes, diskBytes
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(scenario, forKey: .scenario)
        try container.encode(figure, forKey: .figure)
        try container.encode(unit, forKey: .unit)
        try container.encode(reference, forKey: .reference)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(rssBytes, forKey: .rssBytes)
        try container.encode(diskBytes, forKey: .diskBytes)
    }

    static func json(_ results: [Measurement]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(["results": results]), as: UTF8.self)
    }

    static func table(_ results: [Measurement]) -> String {
        let rows =
            [["SCENARIO", "FIGURE", "UNIT", "RAW", "RATIO", "PEAK MEMORY", "ON DISK"]]
            + results.map { result in
                [
                    result.scenario, number(result.figure), result.unit, result.reference.map(number) ?? "-",
                    result.ratio.map { String(format: "%.3f", $0) } ?? "-", result.rssBytes.map(size) ?? "-",
                    result.diskBytes.map(size) ?? "-",
                ]
            }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, text in
                let pad = String(repeating: " ", count: widths[column] - text.count)
                return column == 0 || column == 2 ? text + pad : pad + text
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    private static func number(_ value: Double) -> String {
        value >= 100 ? String(format: "%.0f", value) : String(format: "%.2f", value)
    }

    private static func size(_ bytes: Int) -> String { String(format: "%.1f MiB", Double(bytes) / 1_048_576) }
}

/// Facts about processes, folders and series.
enum Facts {
    /// The most memory that a process has had resident (`VmHWM`), in bytes; nil where it is gone.
    static func peakMemory(of process: pid_t?) -> Int? { memory("VmHWM:", of: process) }

    /// The memory that a process has now, in bytes.
    static func memory(of process: pid_t?) -> Int? { memory("VmRSS:", of: process) }

    private static func memory(_ name: String, of process: pid_t?) -> Int? {
        guard let process, let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) })
        else { return nil }
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// Seconds of processor time that a process has used.
    static func processorSeconds(of process: pid_t?) -> Double {
        guard let process, let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else {
            return 0
        }
        // Behind the name, which may hold anything: user and system time are the 12th and 13th (proc(5)).
        let words = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard words.count > 13, let user = Double(words[12]), let system = Double(words[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The bytes of all files in a folder.
    static func bytes(in folder: String) -> Int {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
        return names.reduce(0) { sum, name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)
            return sum + ((attributes?[.size] as? NSNumber)?.intValue ?? 0)
        }
    }

    /// The value below which so great a part of the series lies (nearest rank).
    static func quantile(_ part: Double, of series: [Double]) -> Double {
        let sorted = series.sorted()
        guard !sorted.isEmpty else { return 0 }
        return sorted[min(sorted.count - 1, max(0, Int((part * Double(sorted.count)).rounded(.up)) - 1))]
    }
}

/// What a measurement could not do without.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
