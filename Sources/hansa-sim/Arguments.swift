import ArgumentParser
import Simulator

/// The options that runs and sweeps share.
struct ScenarioOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Run this scenario (see: hansa-sim list).", valueName: "name"))
    var scenario: String?
    @Option(help: ArgumentHelp("Run so many nodes (default: the scenario's).", valueName: "number"))
    var nodes: Int?
    @Option(help: ArgumentHelp("Let the nodes make this mistake (see: hansa-sim list).", valueName: "name"))
    var plant: String?
    @Flag(help: "Print JSON instead of text.")
    var json = false

    /// The requested scenario, or `standard` if none was named.
    func scenario(or standard: String) throws -> Scenario {
        let name = scenario ?? standard
        guard let found = Scenario.named(name) else {
            let names = Scenario.all.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no scenario '\(name)'. Use one of: \(names).")
        }
        if let nodes, !found.nodesAllowed.contains(nodes) {
            let allowed = found.nodesAllowed
            throw ValidationError(
                allowed.lowerBound == allowed.upperBound
                    ? "The scenario \(found.name) runs \(allowed.lowerBound) nodes; leave --nodes out."
                    : "The scenario \(found.name) runs \(allowed.lowerBound) to \(allowed.upperBound) nodes, not \(nodes)."
            )
        }
        return found
    }

    /// The requested bug; nil if none was named.
    func plantedBug() throws -> PlantedBug? {
        guard let plant else { return nil }
        guard let bug = PlantedBug(rawValue: plant) else {
            let names = PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("There is no planted bug '\(plant)'. Use one of: \(names).")
        }
        return bug
    }
}

/// A range of seeds as in `1..200`, both ends included.
struct SeedRange: ExpressibleByArgument {
    let range: ClosedRange<UInt64>

    init?(argument: String) {
        let parts = argument.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 1, let seed = UInt64(argument) {
            range = seed...seed
            return
        }
        guard parts.count == 3, parts[1].isEmpty, let from = UInt64(parts[0]), let to = UInt64(parts[2]), from <= to
        else {
            return nil
        }
        range = from...to
    }
}
