import Client
import Commands
import Foundation
import Glibc
import TestSupport

/// Measures single edits among all records: the time until an edit is on disk, and until other nodes find it.
extension LoadedNode {
    /// The number of edits before the first measured one.
    private static let warmUp = 10
    /// The pause after loading, so that the machine is otherwise idle.
    private static let rest = Duration.seconds(10)

    /// Measures an edit until the node answers, which means that the edit is on disk. The reference is two flushes plus
    /// a millisecond.
    func editDurable(edits: Int) async throws -> [Measurement] {
        let author = try await author()
        let client = try await Nodes.client(author.folder)
        try await Task.sleep(for: Self.rest)
        let disk = try Disk(scratch("fsync"))
        let (times, flushes) = try await client.withSession { session in
            var (times, flushes): ([Double], [Double]) = ([], [])
            for number in 0..<edits + Self.warmUp {
                let flush = try disk.flush()
                let begin = ContinuousClock.now
                _ = try await session.call(command(number).edit)
                guard number >= Self.warmUp else { continue }
                times.append(begin.duration(to: .now) / .milliseconds(1))
                flushes.append(flush)
            }
            return (times, flushes)
        }
        let results = measurements("edit-durable", times, flushes, allowance: (1, 1), node: author)
        try check([author])
        return results
    }

    /// Measures an edit until a search on two other nodes finds it. The reference is two flushes plus 1.5 ms at the
    /// median, and plus 6 ms at the 99th percentile.
    func editVisible(edits: Int) async throws -> [Measurement] {
        let author = try await author()
        let readers = [try member(), try member()]
        for reader in readers { try await awaitDigest(of: author, at: reader) }
        let editing = try await Nodes.client(author.folder)
        let searching = [try await Nodes.client(readers[0].folder), try await Nodes.client(readers[1].folder)]
        try await Task.sleep(for: Self.rest)
        let disk = try Disk(scratch("fsync"))
        let (times, flushes) = try await editing.withSession { editing in
            try await searching[0].withSession { first in
                try await searching[1].withSession { second in
                    var (times, flushes): ([Double], [Double]) = ([], [])
                    // The microseconds between the answer and the first search, which are part of the measured time. A
                    // search that is too early takes processor time from the nodes that store the edit. The pause
                    // therefore grows after a search without a hit, and shrinks while all searches find the edit.
                    var pause: UInt32 = 0
                    for number in 0..<edits + Self.warmUp {
                        let (edit, query) = command(number)
                        let flush = try disk.flush()
                        let begin = ContinuousClock.now
                        _ = try await editing.call(edit)
                        usleep(pause)
                        async let one = Self.awaitHit(query, by: first)
                        async let other = Self.awaitHit(query, by: second)
                        let redundant = try await one + other
                        pause = redundant > 0 ? pause + 50 : pause - min(pause, 10)
                        guard number >= Self.warmUp else { continue }
                        times.append(begin.duration(to: .now) / .milliseconds(1))
                        flushes.append(flush)
                    }
                    return (times, flushes)
                }
            }
        }
        try check([author] + readers)
        defer { for reader in readers { reader.stop() } }
        return measurements("edit-visible", times, flushes, allowance: (1.5, 6), node: readers[0])
    }

    /// Searches until there is a hit. Returns the number of searches without a hit.
    private static func awaitHit(_ query: SearchCommand, by client: LocalClient.Session) async throws -> Int {
        let begin = ContinuousClock.now
        var redundant = 0
        while try await client.call(query).total == 0 {
            redundant += 1
            guard begin.duration(to: .now) < .seconds(60) else { throw BenchFailure("an edit is never found") }
            try await Task.sleep(for: .microseconds(200))
        }
        return redundant
    }

    private func command(_ number: Int) -> (edit: EditCommand, query: SearchCommand) {
        let word = "edit\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
        // The word has only letters and digits, so it is a valid change.
        let change = EditWord("name=\(word)")!
        return (
            EditCommand(id: "Organization 0/need/\(number % 50)", words: [change], create: true),
            SearchCommand(text: word, kind: nil, owner: nil, limit: 1)
        )
    }

    private func measurements(
        _ name: String,
        _ times: [Double],
        _ flushes: [Double],
        allowance: (median: Double, p99: Double),
        node: HansaProcess
    ) -> [Measurement] {
        [("median", 0.5, allowance.median), ("p99", 0.99, allowance.p99)].flatMap { part, quantile, allowance in
            let flush = Facts.quantile(quantile, of: flushes)
            return [
                Measurement(
                    scenario: "\(name)/\(part)",
                    figure: Facts.quantile(quantile, of: times),
                    unit: "ms",
                    reference: 2 * flush + allowance,
                    rssBytes: Facts.peakMemory(of: node.processIdentifier),
                    diskBytes: Facts.bytes(in: node.folder)
                ),
                Measurement(scenario: "\(name)/fsync-\(part)", figure: flush, unit: "ms"),
            ]
        }
    }
}
