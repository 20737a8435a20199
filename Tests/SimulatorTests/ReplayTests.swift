import Simulator
import TestSupport
import Testing

/// A seed gives the same run in every process.
struct ReplayTests {
    @Test(arguments: [("smoke", 1), ("swarm", 3), ("swarm", 7), ("in-step", 1)] as [(String, UInt64)])
    func `one seed gives one trace`(scenario: String, seed: UInt64) throws {
        let first = try report(scenario, seed: seed)
        let again = try report(scenario, seed: seed)
        #expect(first.traceHash == again.traceHash)
        #expect(first.events == again.events)
        #expect(try report(scenario, seed: seed + 1).traceHash != first.traceHash)
        // Dictionaries have a different order in every process.
        for _ in 0..<2 {
            let run = try SimulatorProgram.run(["run", "--scenario", scenario, "--seed", "\(seed)", "--json"])
            #expect(run.output.contains("\"traceHash\" : \"\(first.traceHash)\""), "\(run)")
        }
    }

    @Test
    func `events come in the order of their time, and then of their entry`() {
        var queue = EventQueue<Int>()
        var random = SplitMix64(seed: 1)
        var expected: [(time: UInt64, event: Int)] = []
        for event in 0..<1_000 {
            let time = random.next() % 50
            queue.add(event, at: time)
            expected.append((time, event))
            if event % 3 == 2 {
                expected.sort { ($0.time, $0.event) < ($1.time, $1.event) }
                let next = queue.next()
                #expect(next?.event == expected.removeFirst().event)
            }
        }
        expected.sort { ($0.time, $0.event) < ($1.time, $1.event) }
        for entry in expected { #expect(queue.next()?.event == entry.event) }
        #expect(queue.next() == nil)
    }

    @Test
    func `hashes differ if a word, its position or the number of bytes differs`() {
        var hashes: Set<MixHash> = []
        for words in [[], [0], [1], [0, 0], [0, 1], [1, 0], [1 << 63]] as [[UInt64]] {
            var hash = MixHash()
            for word in words { hash.add(word) }
            hashes.insert(hash)
        }
        #expect(hashes.count == 7)
        var byteHashes: Set<MixHash> = []
        for count in 0..<40 {
            var hash = MixHash()
            hash.add(Array(repeating: UInt8(0), count: count))
            byteHashes.insert(hash)
        }
        #expect(byteHashes.count == 40)
    }
}
