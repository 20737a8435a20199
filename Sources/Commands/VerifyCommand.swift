import Catalog
import Foundation
package import Replica
import Store

/// Checks the data folder, and rebuilds the data derived from the log.
package struct VerifyCommand: StreamingCommand {
    package typealias Element = Report<Output>

    package static let endpoint = Endpoint("verify", .admin, .stream)
    /// True to recompute every record and the digest from the log.
    package let isDeep: Bool
    /// True to replace all derived data.
    package let rebuilds: Bool

    package init(isDeep: Bool, rebuilds: Bool) {
        self.isDeep = isDeep
        self.rebuilds = rebuilds
    }

    package struct Finding: Codable, Sendable {
        package let location: String
        package let what: String
    }

    package struct Output: Codable, Sendable {
        package let sound: Bool
        package let deep: Bool
        package let rebuilt: Bool
        /// The projections that are being rebuilt, which were not compared; empty unless deep.
        package let rebuilding: [String]
        package let deltas: Int
        package let operations: Int
        package let derivedRows: Int
        package let findingCount: Int
        package let findings: [Finding]
        package let digest: String
        package let seconds: Double
    }

    package func run(in context: CommandContext, into stream: BoundedStream<Element>) async throws {
        let replica = context.replica
        let start = ContinuousClock.now
        let (isDeep, rebuilds) = (isDeep, rebuilds)
        let progress = stream.progress()
        if rebuilds {
            try await replica.rebuild { progress.report(.rebuilding, done: $0.done, total: $0.total) }
        }
        let report = try await CancellationFlag.during { flag in
            let report = try await replica.onReaders {
                try replica.verify(deep: isDeep) {
                    try flag.check()
                    progress.report(.verifying, done: $0.done, total: $0.total)
                }
            }
            // A cancelled check has no answer.
            try flag.check()
            return report
        }
        let output = Output(
            sound: report.isSound,
            deep: isDeep,
            rebuilt: rebuilds,
            rebuilding: report.unfinishedProjections.map(\.rawValue),
            deltas: report.deltaCount,
            operations: report.operationCount,
            derivedRows: report.derivedRowCount,
            findingCount: report.findingCount,
            findings: report.findings.map { Finding(location: $0.location, what: $0.what) },
            digest: try replica.totals().digest.hex,
            seconds: ((start.duration(to: .now) / .seconds(1)) * 1000).rounded() / 1000
        )
        try await stream.send(.answer(output))
    }
}
