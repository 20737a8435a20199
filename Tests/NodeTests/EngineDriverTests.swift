import Catalog
import DeltaLog
import Dispatch
import Gossip
import Governance
import PeerService
import Simulator
import Synchronization
import Testing

/// Carries out an engine's actions in these tests. It records the sent questions, and whether two actions ever
/// overlapped.
private final class Outbox: Sendable {
    private struct State {
        var tokens: [UInt64] = []
        var isBusy = false
        var hasOverlapped = false
    }

    private let state = Mutex(State())

    func perform(_ action: EngineAction, _ work: () -> Void = {}) {
        guard case .send(_, .diffQuestion(.sums(let token))) = action else { return }
        state.withLock { state in
            if state.isBusy { state.hasOverlapped = true }
            state.isBusy = true
        }
        work()
        state.withLock { state in
            state.tokens.append(token)
            state.isBusy = false
        }
    }

    var tokens: [UInt64] { state.withLock { $0.tokens } }
    var isBusy: Bool { state.withLock { $0.isBusy } }
    var hasOverlapped: Bool { state.withLock { $0.hasOverlapped } }
}

@Suite("Driving the engine", .timeLimit(.minutes(10)))
struct EngineDriverTests {
    private static let link = LinkID(1)

    /// A driver of an engine with one link; each question is sent as one message on it.
    private func makeDriver() -> EngineDriver {
        let alliance = VirtualAlliance(founders: 3)
        let driver = EngineDriver(
            Engine(
                charter: alliance.charter,
                node: VirtualAlliance.node(0),
                program: "test",
                governance: alliance.governance(alliance.enrolments),
                announcements: AnnouncementSet(),
                frontier: Frontier(),
                summary: StoredSummary(digest: CatalogDigest(), records: 0),
                cryptography: alliance.cryptography,
                random: SplitMix64(seed: 1)
            )
        )
        driver.feed(.linkUp(Self.link, node: VirtualAlliance.node(1), dialled: true))
        return driver
    }

    private func question(_ token: UInt64) -> EngineInput {
        .askDiff(Self.link, .sums(token: token))
    }

    private func eventually(_ condition: () -> Bool) async throws {
        while !condition() { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test("Inputs of many threads are processed one at a time, and each thread's in its order")
    func manyThreads() async throws {
        let (threads, each): (UInt64, UInt64) = (8, 500)
        let (driver, outbox) = (makeDriver(), Outbox())
        driver.begin { outbox.perform($0) }
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                DispatchQueue.concurrentPerform(iterations: Int(threads)) { thread in
                    for number in 0..<each { driver.feed(question(UInt64(thread) << 32 | number)) }
                }
                continuation.resume()
            }
        }
        try await eventually { outbox.tokens.count == Int(threads * each) }
        await driver.end()
        #expect(!outbox.hasOverlapped)
        for thread in 0..<threads {
            #expect(outbox.tokens.filter { $0 >> 32 == thread }.map { $0 & 0xffff_ffff } == Array(0..<each))
        }
    }

    @Test("The caller processes an isolated input itself")
    func alone() async throws {
        let (driver, outbox) = (makeDriver(), Outbox())
        driver.begin { outbox.perform($0) }
        // Inputs from before the beginning may still be in progress.
        var token: UInt64 = 0
        try await eventually {
            token += 1
            driver.feed(question(token))
            return outbox.tokens.last == token
        }
        await driver.end()
    }

    @Test("Inputs before the beginning are kept, and inputs that an action causes are processed after it")
    func keptAndNested() async throws {
        let (driver, outbox) = (makeDriver(), Outbox())
        driver.feed(question(1))
        driver.feed(question(2))
        #expect(outbox.tokens.isEmpty)
        driver.begin { action in
            outbox.perform(action) {
                if outbox.tokens.isEmpty { driver.feed(question(3)) }
            }
        }
        try await eventually { outbox.tokens.count == 3 }
        #expect(outbox.tokens == [1, 2, 3] && !outbox.hasOverlapped)
        await driver.end()
    }

    @Test("The end waits for the step in progress, and no step follows")
    func end() async throws {
        let (driver, outbox) = (makeDriver(), Outbox())
        let authorizer = DispatchSemaphore(value: 0)
        driver.begin { action in
            outbox.perform(action) {
                if outbox.tokens.isEmpty { authorizer.wait() }
            }
        }
        DispatchQueue.global().async { driver.feed(question(1)) }
        try await eventually { outbox.isBusy }
        driver.feed(question(2))
        async let ending: Void = driver.end()
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) { authorizer.signal() }
        await ending
        let stepped = outbox.tokens
        // If the end came late, the second input may have been stepped before it.
        #expect(!outbox.isBusy && (stepped == [1] || stepped == [1, 2]))
        driver.feed(question(3))
        #expect(outbox.tokens == stepped)
    }

    @Test("A driver that never began ends at once")
    func neverBegun() async {
        await makeDriver().end()
    }
}
