/// Finds a smaller set of faults with the same failure, and shows its effect.
package enum Shortening {
    /// The maximum number of runs of one search.
    private static let runsMax = 60
    /// The number of shown events.
    private static let eventsShown = 60

    /// Runs a scenario. If it fails and has a plan, searches for the shortest plan that still fails, and runs it again
    /// with its last events kept.
    package static func run(_ options: RunOptions) -> Report {
        let trial = Trial.run(options)
        guard !trial.report.isPassed else { return trial.report }
        return explain(trial)
    }

    /// The report of a failed trial, with the shortest failing plan found and the last events of that run.
    package static func explain(_ trial: Trial) -> Report {
        var report = trial.report
        var options = trial.options
        options.stopsAtViolation = true
        let faults = shortest(trial.plan, options)
        if !trial.plan.faults.isEmpty {
            options.plan = trial.plan.with(faults: faults)
            report.faults = faults.map { "\($0.milliseconds) ms  \($0.fault)" }
        }
        options.eventsKept = eventsShown
        report.tail = Trial.run(options).tail
        return report
    }

    /// Removes parts of decreasing size and returns the remaining faults (Zeller, Hildebrandt 2002, "Simplifying and
    /// Isolating Failure-Inducing Input", figure 4, without the test of the removed parts).
    private static func shortest(_ plan: Plan, _ options: RunOptions) -> [Plan.FaultStep] {
        var faults = plan.faults
        var runs = 0
        func fails(_ faults: [Plan.FaultStep]) -> Bool {
            runs += 1
            var options = options
            options.plan = plan.with(faults: faults)
            return !Trial.run(options).report.isPassed
        }
        var size = faults.count
        while size > 0, runs < runsMax {
            var start = 0
            var isShorter = false
            while start < faults.count, runs < runsMax {
                let rest = Array(faults[..<start] + faults[min(start + size, faults.count)...])
                if fails(rest) {
                    faults = rest
                    isShorter = true
                } else {
                    start += size
                }
            }
            if size == 1, !isShorter { break }
            size = size == 1 ? 1 : (size + 1) / 2
        }
        return faults
    }
}
