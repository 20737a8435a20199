import Replica

/// The progress of a command, as people read it.
enum ProgressText {
    /// One line, as in `writing 12,000 of 100,000 rows`.
    static func line(_ progress: WorkProgress) -> ShownText {
        switch progress.phase {
        case .receiving: "sending " + share(progress)
        case .checking: "checking " + share(progress)
        case .writing: "writing " + count(progress, "rows")
        case .rebuilding: "rebuilding " + count(progress, "operations")
        case .verifying: "verifying " + count(progress, "operations")
        case .exporting: "exporting " + count(progress, "records")
        }
    }

    /// The share of bytes that are done.
    private static func share(_ progress: WorkProgress) -> ShownText {
        guard let total = progress.total, total > 0 else { return "\(Words.size(progress.done))" }
        return "\(Int(Double(progress.done) / Double(total) * 100)) %"
    }

    private static func count(_ progress: WorkProgress, _ noun: String) -> ShownText {
        let done = Words.grouped(progress.done)
        guard let total = progress.total else { return "\(done) \(noun)" }
        return "\(done) of \(Words.grouped(total)) \(noun)"
    }
}
