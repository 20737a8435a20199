import Foundation
import Simulator

/// Formats the output.
enum Output {
    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Rows with aligned columns; the last column is not padded.
    static func table(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, text in
                column == row.count - 1 ? text : text + String(repeating: " ", count: widths[column] - text.count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    static func text(_ report: Report, wallSeconds: Double) -> String {
        var parts = [
            "\(report.scenario), seed \(report.seed), \(report.nodes) nodes: \(report.isPassed ? "passed" : "FAILED")"
        ]
        let criteria = report.criteria.map {
            [$0.isPassed ? "  ok " : "  NOT", $0.name, Report.text($0.value), $0.bound]
        }
        if !criteria.isEmpty { parts.append(table(criteria)) }
        var figures = report.figures.map { ["    ", $0.name, Report.text($0.value), $0.unit] }
        figures.append(["    ", "virtual seconds", Report.text(report.virtualSeconds), ""])
        figures.append(
            ["    ", "virtual seconds a second", Report.text(report.virtualSeconds / max(wallSeconds, 0.001)), ""]
        )
        figures.append(["    ", "events", "\(report.events)", ""])
        figures.append(["    ", "trace", report.traceHash])
        parts.append(table(figures))
        for violation in report.violations.prefix(5) { parts.append("broken: \(violation)") }
        if report.violations.count > 5 { parts.append("broken: \(report.violations.count - 5) more") }
        if !report.faults.isEmpty {
            parts.append("these faults are enough:\n  " + report.faults.joined(separator: "\n  "))
        }
        if !report.tail.isEmpty { parts.append("the last events:\n  " + report.tail.joined(separator: "\n  ")) }
        return parts.joined(separator: "\n")
    }

    static func replay(_ report: Report, plant: String?) -> String {
        replay(scenario: report.scenario, seed: report.seed, nodes: nil, plant: plant)
    }

    /// The command that runs a seed again.
    static func replay(scenario: String, seed: UInt64, nodes: Int?, plant: String?) -> String {
        "again: hansa-sim run --scenario \(scenario) --seed \(seed)" + (nodes.map { " --nodes \($0)" } ?? "")
            + (plant.map { " --plant \($0)" } ?? "")
    }
}
