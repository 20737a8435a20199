import Foundation
import Glibc

/// One figure, with the same machine's raw cost in the same run without the node.
struct Measurement: Encodable {
    /// The scenario and the measured quantity, such as `cities/import`.
    let scenario: String
    let figure: Double
    let unit: String
    /// The raw cost in the same unit; nil if there is no comparison.
    var reference: Double?
    /// The process's peak memory; in scenarios about idleness, its current memory.
    var rssBytes: Int?
    /// The size of the folder on disk afterwards.
    var diskBytes: Int?

    /// True if lower is better: times, bytes, shares of a core.
    private var isCost: Bool { !unit.hasSuffix("/s") }
    /// The rate divided by the reference rate, or the reference cost divided by the cost: higher is better.
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

/// Measurements of processes, folders and series.
enum Facts {
    /// The peak resident memory of a process (`VmHWM`) in bytes; nil if the process has ended.
    static func peakMemory(of process: pid_t?) -> Int? { memory("VmHWM:", of: process) }

    /// The current memory of a process in bytes.
    static func memory(of process: pid_t?) -> Int? { memory("VmRSS:", of: process) }

    private static func memory(_ name: String, of process: pid_t?) -> Int? {
        guard let process, let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) })
        else { return nil }
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// The processor time that a process has used, in seconds.
    static func processorSeconds(of process: pid_t?) -> Double {
        guard let process, let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else {
            return 0
        }
        // After the name, which may contain any character: user and system time are the 12th and 13th words (proc(5)).
        let words = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard words.count > 13, let user = Double(words[12]), let system = Double(words[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The total size of all files in a folder, in bytes.
    static func bytes(in folder: String) -> Int {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
        return names.reduce(0) { sum, name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)
            return sum + ((attributes?[.size] as? NSNumber)?.intValue ?? 0)
        }
    }

    /// The quantile of a series by nearest rank.
    static func quantile(_ part: Double, of series: [Double]) -> Double {
        let sorted = series.sorted()
        guard !sorted.isEmpty else { return 0 }
        return sorted[min(sorted.count - 1, max(0, Int((part * Double(sorted.count)).rounded(.up)) - 1))]
    }
}

/// The reason why a measurement failed.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
