import Foundation
import Glibc
import LocalAPI
import Node
import TestSupport

/// Edits on one node, and how long each takes until a search on another finds it.
struct EditVisibleScenario {
    private let scratch: TemporaryFolder
    private let edits: Int

    init(_ scratch: TemporaryFolder, edits: Int) {
        self.scratch = scratch
        self.edits = edits
    }

    func run() async throws -> [Measurement] {
        var nodes = Nodes(scratch)
        let (author, reader) = (try nodes.add(), try nodes.add())
        let (editing, searching) = (try await Nodes.client(author.folder), try await Nodes.client(reader.folder))
        let disk = try Disk(scratch("fsync"))
        var (acknowledged, visible, flushes): ([Double], [Double], [Double]) = ([], [], [])
        for number in 0..<edits + Self.warmUp {
            let word = "edit\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
            guard let change = EditWord("name=\(word)") else { throw BenchFailure("'\(word)' is no change") }
            let id = "Organization 0/need/\(number % 50)"
            let flush = try disk.flush()
            let begin = ContinuousClock.now
            _ = try await editing.call(EditCommand(id: id, words: [change], create: true))
            let written = begin.duration(to: .now)
            let query = SearchCommand(text: word, kind: nil, owner: nil, limit: 1)
            while try await searching.call(query).total == 0 {
                guard begin.duration(to: .now) < .seconds(60) else { throw BenchFailure("an edit is never found") }
                try await Task.sleep(for: .microseconds(200))
            }
            guard number >= Self.warmUp else { continue }
            visible.append(begin.duration(to: .now) / .milliseconds(1))
            acknowledged.append(written / .milliseconds(1))
            flushes.append(flush)
        }
        func results(_ name: String, _ part: Double) -> [Measurement] {
            let reference = Facts.quantile(part, of: flushes)
            return [
                Measurement(
                    scenario: "edit-visible/visible-\(name)",
                    figure: Facts.quantile(part, of: visible),
                    unit: "ms",
                    reference: reference,
                    rssBytes: Facts.peakMemory(of: reader.processIdentifier),
                    diskBytes: Facts.bytes(in: reader.folder)
                ),
                Measurement(
                    scenario: "edit-visible/acknowledged-\(name)",
                    figure: Facts.quantile(part, of: acknowledged),
                    unit: "ms",
                    reference: reference,
                    rssBytes: Facts.peakMemory(of: author.processIdentifier),
                    diskBytes: Facts.bytes(in: author.folder)
                ),
                Measurement(scenario: "edit-visible/fsync-\(name)", figure: reference, unit: "ms"),
            ]
        }
        defer { for node in nodes.all { node.stop() } }
        return results("median", 0.5) + results("p99", 0.99)
    }

    /// Edits before those that count.
    private static let warmUp = 10
}

/// What the disk takes to make one page durable.
private final class Disk {
    private let descriptor: Int32
    private let page = [UInt8](repeating: 0xA5, count: 4096)

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchFailure("cannot write \(path)") }
    }

    deinit {
        close(descriptor)
    }

    /// Appends a page and waits until it is durable; milliseconds.
    func flush() throws -> Double {
        let begin = ContinuousClock.now
        guard write(descriptor, page, page.count) == page.count, fsync(descriptor) == 0 else {
            throw BenchFailure("fsync failed")
        }
        return begin.duration(to: .now) / .milliseconds(1)
    }
}
