package import Catalog
import DeltaLog
import Gossip
import Governance
import Logging
import Replica
import Store

/// Brings derived data up to date: the bounds of logs to those that follow from fork proofs, and projections to the versions
/// of this program. It takes steps on the writer's queue, so that other writes run between them.
///
/// Isolation: any task may call ``demand()`` and ``end()``; ``run()`` is called once.
final class Deriving: Sendable {
    private let replica: Replica
    private let driver: EngineDriver
    private let stop: NodeStop
    private let logger: Logger
    /// Waiting demands: one stands for all.
    private let demands: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    /// The wait after another program's lock or a full disk has blocked a step. A second, a guess.
    private static let obstaclePause = Duration.seconds(1)

    init(replica: Replica, driver: EngineDriver, stop: NodeStop, logger: Logger) {
        self.replica = replica
        self.driver = driver
        self.stop = stop
        self.logger = logger
        (demands, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Looks for logs without their bounds. Call it after the write of a fork proof was queued.
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
    /// - Returns: The wait before the next step; nil if everything is up to date.
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

/// Pauses between the steps of a relimit, so that no member blocks writing with ever more fork proofs. Each proof costs a
/// step, whose time grows with the records concerned.
package struct RelimitRests {
    /// An organization pauses for this many times the duration of its step: it gets at most a tenth of the writer's time.
    private static let organizationRest = 9
    /// The end of each organization's pause. Authors without an organization share one.
    private var ends: [OrganizationID?: ContinuousClock.Instant] = [:]

    package init() {}

    /// True during an organization's pause.
    package func isResting(_ organization: OrganizationID?, at now: ContinuousClock.Instant) -> Bool {
        ends[organization].map { now < $0 } ?? false
    }

    /// Notes a step's duration.
    ///
    /// - Returns: The pause of all other organizations: as long as the step, so that writing gets at least half of the
    ///   time.
    package mutating func note(
        _ time: Duration,
        of organization: OrganizationID?,
        at now: ContinuousClock.Instant
    ) -> Duration {
        ends = ends.filter { now < $0.value }
        ends[organization] = now + time * Self.organizationRest
        return time
    }

    /// The time until the next pause ends; nil if no organization pauses.
    package func nextEnd(after now: ContinuousClock.Instant) -> Duration? {
        ends.values.filter { now < $0 }.min().map { now.duration(to: $0) }
    }
}
