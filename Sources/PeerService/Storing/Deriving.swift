package import Catalog
import DeltaLog
import Gossip
import Governance
import Logging
import Replica
import Store

/// Brings derived data up to date, step by step on the writer's queue: the bounds of logs to what the proofs of forks demand,
/// and projections to the versions of this program. Other writes come in between.
///
/// Isolation: any task may call ``demand()`` and ``end()``; ``run()`` is called once.
final class Deriving: Sendable {
    private let replica: Replica
    private let driver: EngineDriver
    private let stop: NodeStop
    private let logger: Logger
    /// Demands that wait: one stands for all.
    private let demands: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    /// How long to wait when another program's lock or a full disk was in the way. A second, a guess.
    private static let obstaclePause = Duration.seconds(1)

    init(replica: Replica, driver: EngineDriver, stop: NodeStop, logger: Logger) {
        self.replica = replica
        self.driver = driver
        self.stop = stop
        self.logger = logger
        (demands, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Looks for logs without their bounds. Call it after the proof of a fork was queued to be stored.
    func demand() { continuation.yield() }

    /// Takes no further demands.
    func end() { continuation.finish() }

    /// Finishes the steps that the last stop left, then serves demands until ``end()`` or the task's cancellation.
    func run() async {
        demand()
        var rests = RelimitRests()
        for await _ in demands {
            while let pause = await step(&rests) {
                guard (try? await Task.sleep(for: pause)) != nil else { return }
            }
        }
    }

    /// Takes a step.
    ///
    /// - Returns: How long to wait before the next one; nil where everything is up to date.
    private func step(_ rests: inout RelimitRests) async -> Duration? {
        do {
            // A relimit reads the history, and no other projection.
            if let pause = try await rebuild(.history) { return pause }
            let now = ContinuousClock.now
            let (roster, resting) = (replica.roster, rests)
            let step = try await replica.relimitNext { log in
                !resting.isResting(roster.organization(of: log.author), at: now)
            }
            guard let step else { return try await rebuild(nil) ?? rests.nextEnd(after: now) }
            let summary = StoredSummary(digest: step.totals.digest, records: step.totals.records)
            driver.feed(.committed([], summary: summary))
            return rests.note(step.time, of: roster.organization(of: step.log.author), at: .now)
        } catch let failure as Failure where failure.reason == .databaseLocked {
            return replica.isStopping ? nil : Self.obstaclePause
        } catch {
            stop.failUnlessStopping(error)
            return nil
        }
    }

    /// Takes a step of the rebuild of a projection. Writes that wait have their turn before the next one.
    ///
    /// - Parameter wanted: Nil for any.
    /// - Returns: How long to wait before the next step; nil where there was nothing to do.
    private func rebuild(_ wanted: ProjectionName?) async throws -> Duration? {
        do {
            guard let step = try await replica.rebuildProjection(wanted) else { return nil }
            if step.isDone { logger.info("rebuilt", metadata: ["projection": "\(step.projection.rawValue)"]) }
            return .zero
        } catch let failure as Failure where failure.reason == .diskFull {
            // No writer waits for it.
            logger.debug("not rebuilt", metadata: ["reason": "\(failure.message)"])
            return Self.obstaclePause
        }
    }
}

/// How long steps of a relimit wait for one another, so that no member holds up writing by ever further proofs of forks: each
/// of them costs a step, whose time grows with the records concerned.
package struct RelimitRests {
    /// An organization rests for this many times as long as its step took: it gets a tenth of the writer's time at most.
    private static let organizationRest = 9
    /// When each organization's rest ends. Authors without an organization rest together.
    private var ends: [OrganizationID?: ContinuousClock.Instant] = [:]

    package init() {}

    /// True if an organization's logs are left alone.
    package func isResting(_ organization: OrganizationID?, at now: ContinuousClock.Instant) -> Bool {
        ends[organization].map { now < $0 } ?? false
    }

    /// Notes a step's time.
    ///
    /// - Returns: How long all others wait: as long as the step took, so that writing has half of the time at least.
    package mutating func note(
        _ time: Duration,
        of organization: OrganizationID?,
        at now: ContinuousClock.Instant
    ) -> Duration {
        ends = ends.filter { now < $0.value }
        ends[organization] = now + time * Self.organizationRest
        return time
    }

    /// The time until the next rest ends; nil where nobody rests.
    package func nextEnd(after now: ContinuousClock.Instant) -> Duration? {
        ends.values.filter { now < $0 }.min().map { now.duration(to: $0) }
    }
}
