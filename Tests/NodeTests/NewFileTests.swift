import Foundation
import Glibc
import Replica
import TestSupport
import Testing

@Suite("A file that appears only when it is whole")
struct NewFileTests {
    private let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    @Test("It has its path only after it is finished, with the requested mode")
    func finishes() throws {
        let path = scratch("file")
        let file = try NewFile(path, mode: 0o604)
        try file.write(Array("one ".utf8))
        #expect(!FileManager.default.fileExists(atPath: path))
        var status = stat()
        #expect(stat(file.temporaryPath, &status) == 0 && status.st_mode & 0o777 == 0o600)
        try file.write(Array("two".utf8))
        try file.finish()
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "one two")
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o604)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["file"])
    }

    @Test("Abandoned or released, it leaves the old file unchanged")
    func abandons() throws {
        let path = try scratch.file("file", "before")
        let file = try NewFile(path)
        try file.write([1, 2, 3])
        file.abandon()
        do { try NewFile(path).write([1]) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "before")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["file"])
    }

    @Test("A link at its path is replaced, and the link's target is unchanged")
    func replacesLinks() throws {
        let victim = try scratch.file("victim", "precious")
        #expect(symlink(victim, scratch("file")) == 0)
        let file = try NewFile(scratch("file"))
        try file.write(Array("new".utf8))
        try file.finish()
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
        #expect(try String(contentsOfFile: scratch("file"), encoding: .utf8) == "new")
    }

    @Test("A directory at its path, or a missing folder, is refused")
    func refuses() throws {
        for path in [scratch.path, scratch("no/file")] {
            let failure = #expect(throws: Failure.self) { try NewFile(path) }
            #expect(failure?.reason == .badPath)
        }
    }
}
