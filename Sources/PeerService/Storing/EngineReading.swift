import DeltaLog
import Gossip
import Replica
import Store

/// Reads from the replica for the engine, off its step: the results come back as inputs.
///
/// A read that fails stops the node, since its disk cannot be trusted. A lock of another program is waited for. All reads run
/// within ``run()``, which ends after the last one.
final class EngineReading: Sendable {
    private typealias Read = @Sendable (ReadTransaction) throws -> EngineInput

    private let replica: Replica
    private let driver: EngineDriver
    private let stop: NodeStop
    /// Unbounded here: the engine bounds its reads by the peers' credit and by two look-ups at a time.
    private let reads: AsyncStream<Read>
    private let continuation: AsyncStream<Read>.Continuation

    init(replica: Replica, driver: EngineDriver, stop: NodeStop) {
        self.replica = replica
        self.driver = driver
        self.stop = stop
        (reads, continuation) = AsyncStream.makeStream()
    }

    /// Reads deltas of a log, to be sent on a link.
    func readDeltas(_ range: LogRange, for link: LinkID, bytesMax: UInt64) {
        continuation.yield { reading in
            let deltas = try reading.deltas(of: range.log, from: range.from, bytesMax: Int(clamping: bytesMax))
            return .deltasRead(
                link,
                range,
                deltas.map { Gossip.StoredDelta(sequence: $0.sequence, bytes: $0.bytes) }
            )
        }
    }

    /// Reads headers of a log.
    func readHeaders(_ range: LogRange, _ purpose: HeaderPurpose) {
        continuation.yield { reading in
            let headers = try reading.headers(of: range.log, range.from...range.to)
            return .headersRead(
                range,
                purpose: purpose,
                headers.map { SignedHeader(header: $0.header, signature: $0.signature) }
            )
        }
    }

    /// Looks up the answer to a peer's question about the records held here.
    func answer(_ question: PeerMessage.DiffQuestion, on link: LinkID) {
        continuation.yield { [cryptography = replica.cryptography] reading in
            .diffAnswered(link, try RecordComparison.answer(question, reading: reading, hasher: cryptography))
        }
    }

    /// Carries out reads as they come, until ``end()``.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await read in reads {
                group.addTask { await self.carryOut(read) }
            }
        }
    }

    /// Takes no further reads.
    func end() { continuation.finish() }

    private func carryOut(_ read: @escaping Read) async {
        while true {
            do {
                return driver.feed(try await replica.read(read))
            } catch let error as Failure where error.reason == .databaseLocked {
                if replica.isStopping { return }
            } catch {
                return stop.fail(error)
            }
        }
    }
}
