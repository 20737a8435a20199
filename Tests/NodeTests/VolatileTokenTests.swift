import Catalog
import DeltaLog
import Foundation
import Glibc
import Replica
import TestSupport
import Testing

@Suite("The token of a data folder")
struct VolatileTokenTests {
    private let scratch: TemporaryFolder
    private let log = LogID(author: NodeKey(Hash256.zero), incarnation: 7)
    private let heads = (1...3).map { Head(sequence: $0, hash: SystemCryptography().hash([UInt8($0)])) }

    init() throws { scratch = try TemporaryFolder() }

    /// A folder's token; its file is removed at the end.
    private func withToken(_ name: String, _ body: (VolatileToken) throws -> Void) throws {
        let token = try #require(VolatileToken(folder: DataFolder(scratch(name)), hasher: SystemCryptography()))
        defer { unlink(token.file) }
        try body(token)
    }

    @Test("It proves the held and the intended head, and after settling only the new one")
    func noteAndSettle() throws {
        try withToken("a") { token in
            #expect(!token.proves(log: log, head: nil))
            try token.note(log: log, head: heads[0], intended: heads[1])
            #expect(token.proves(log: log, head: heads[0]) && token.proves(log: log, head: heads[1]))
            #expect(!token.proves(log: log, head: heads[2]))
            token.settle(log: log, head: heads[1])
            #expect(!token.proves(log: log, head: heads[0]) && token.proves(log: log, head: heads[1]))
            #expect(!token.proves(log: LogID(author: log.author, incarnation: 8), head: heads[1]))
        }
    }

    @Test("The remains of a longer text do not count after a shorter one")
    func shorter() throws {
        try withToken("a") { token in
            try token.note(log: log, head: heads[0], intended: heads[1])
            try token.note(log: log, head: nil, intended: nil)
            #expect(token.proves(log: log, head: nil))
            #expect(heads.allSatisfy { !token.proves(log: log, head: $0) })
        }
    }

    @Test("The next process reads the token; another folder's token proves nothing")
    func others() throws {
        try withToken("a") { token in
            try token.note(log: log, head: heads[0], intended: nil)
            try withToken("a") { #expect($0.proves(log: log, head: heads[0])) }
            try token.note(log: log, head: heads[0], intended: nil)
            try withToken("b") { other in
                #expect(copyfile(token.file, to: other.file) && !other.proves(log: log, head: heads[0]))
            }
        }
    }

    @Test("A removed file is written again")
    func removed() throws {
        try withToken("a") { token in
            try token.note(log: log, head: heads[0], intended: nil)
            unlink(token.file)
            #expect(!token.proves(log: log, head: heads[0]))
            try token.note(log: log, head: heads[1], intended: nil)
            #expect(token.proves(log: log, head: heads[1]))
        }
    }

    @Test("Another user's file proves nothing and is not written to", .enabled(if: geteuid() == 0))
    func foreign() throws {
        try withToken("a") { token in
            try token.note(log: log, head: heads[0], intended: nil)
            #expect(chown(token.file, 1, 1) == 0)
            #expect(!token.proves(log: log, head: heads[0]))
            let next = try #require(VolatileToken(folder: DataFolder(scratch("a")), hasher: SystemCryptography()))
            let before = FileManager.default.contents(atPath: token.file)
            #expect(throws: Failure.self) { try next.note(log: log, head: heads[1], intended: nil) }
            #expect(FileManager.default.contents(atPath: token.file) == before)
        }
    }

    private func copyfile(_ from: String, to: String) -> Bool {
        guard let bytes = FileManager.default.contents(atPath: from) else { return false }
        return FileManager.default.createFile(atPath: to, contents: bytes)
    }
}
