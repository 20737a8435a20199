/// The result of a run.
package struct Report: Sendable, Codable {
    /// A measured figure.
    package struct Figure: Sendable, Codable {
        package let name: String
        package let value: Double
        package let unit: String
    }

    /// A figure with a bound.
    package struct Criterion: Sendable, Codable {
        package let name: String
        /// Nil if the event never occurred.
        package let value: Double?
        /// The bound in words, such as `at most 12`.
        package let bound: String
        package let isPassed: Bool
    }

    package let scenario: String
    package let seed: UInt64
    package let nodes: Int
    package fileprivate(set) var figures: [Figure] = []
    package fileprivate(set) var criteria: [Criterion] = []
    /// Broken promises, the first one first.
    package fileprivate(set) var violations: [String] = []
    /// Equal for equal runs.
    package fileprivate(set) var traceHash = ""
    package fileprivate(set) var virtualSeconds = 0.0
    package fileprivate(set) var events: UInt64 = 0
    /// The faults of the shortest failing plan found, and the last events of that run.
    package var faults: [String] = []
    package var tail: [String] = []

    package init(scenario: String, seed: UInt64, nodes: Int) {
        self.scenario = scenario
        self.seed = seed
        self.nodes = nodes
    }

    /// True if every criterion is passed and no promise was broken.
    package var isPassed: Bool { violations.isEmpty && criteria.allSatisfy(\.isPassed) }

    mutating func add(_ name: String, _ value: Double, _ unit: String) {
        figures.append(Figure(name: name, value: value, unit: unit))
    }

    mutating func add(_ name: String, _ value: Int, _ unit: String) { add(name, Double(value), unit) }

    /// Adds a criterion with an upper bound; nil if the event never occurred.
    mutating func criterion(_ name: String, _ value: Double?, atMost bound: Double) {
        let isPassed = value.map { $0 <= bound } ?? false
        criteria.append(Criterion(name: name, value: value, bound: "at most \(Self.text(bound))", isPassed: isPassed))
    }

    mutating func criterion(_ name: String, _ value: Int, atMost bound: Int) {
        criterion(name, Double(value), atMost: Double(bound))
    }

    /// Adds a criterion with an exclusive upper bound.
    mutating func criterion(_ name: String, _ value: Double, below bound: Double) {
        criteria.append(
            Criterion(name: name, value: value, bound: "below \(Self.text(bound))", isPassed: value < bound)
        )
    }

    /// The reason of a failure in one line.
    package var reason: String {
        violations.first ?? criteria.first { !$0.isPassed }.map { "\($0.name): \(Self.text($0.value)), \($0.bound)" }
            ?? "passed"
    }

    /// Adds the results that every run has: trace, violations and costs.
    mutating func close(_ simulation: Simulation) {
        violations = simulation.violations
        traceHash = simulation.trace.hex
        virtualSeconds = Double(simulation.now) / 1e9
        events = simulation.eventCount
        let notes = (0..<simulation.count).map { simulation.notes($0) }
        let delivered = notes.reduce(0) { $0 + $1.recordsDelivered }
        add("messages sent", notes.reduce(0) { $0 + $1.messagesSent }, "")
        add("bytes sent", notes.reduce(0) { $0 + $1.bytesSent }, "bytes")
        add("records delivered", delivered, "")
        guard delivered > 0 else { return }
        let records = Double(delivered)
        add("bytes per record", Double(notes.reduce(0) { $0 + $1.bytesSent }) / records, "bytes")
        add("messages per record", Double(notes.reduce(0) { $0 + $1.messagesSent }) / records, "")
        add("signature checks per record", Double(notes.reduce(0) { $0 + $1.signatureChecks }) / records, "")
    }

    /// A number as text, with at most three decimal places.
    package static func text(_ value: Double?) -> String {
        guard let value else { return "never" }
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        if value == value.rounded() { return String(Int(value)) }
        let thousandths = Int((abs(value) * 1_000).rounded())
        let digits = String(thousandths % 1_000)
        let fraction = String(repeating: "0", count: 3 - digits.count) + digits
        return (value < 0 ? "-" : "") + "\(thousandths / 1_000).\(fraction)"
    }
}
