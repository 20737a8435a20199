import Foundation
import GRDB
import GRDBSQLite

/// SQLite's write-ahead log, as a file.
enum WriteAheadLog {
    /// What is read and written at a time: 64 KiB, the largest page of SQLite's. Its unix VFS writes no more at once.
    private static let chunk = 1 << 16

    /// Writes the log of a database once more, byte for byte as the system shows it, and syncs it. To be called before
    /// SQLite reads it, and while no other process writes to it. After an orderly close there is none, and nothing to do.
    ///
    /// Once a sync has failed, Linux takes what it could not write for written: it still shows it, and no later sync
    /// saves it (Rebello et al. 2020, "Can Applications Recover from fsync Failures?"). If the process is killed then,
    /// the next one finds the commit whole, and copies it back into the database; if the power fails meanwhile, the
    /// commit is in the database in part and not in the log at all. Written again, it is saved like any other.
    ///
    /// - Throws: `DatabaseError`.
    static func saveAgain(ofDatabase path: String) throws {
        let path = path + "-wal"
        guard FileManager.default.fileExists(atPath: path), let vfs = sqlite3_vfs_find(nil) else { return }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(vfs.pointee.szOsFile), alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        defer { memory.deallocate() }
        let file = memory.baseAddress!.assumingMemoryBound(to: sqlite3_file.self)
        // SQLite's names of files end with an empty list of parameters, and must last until the file is closed.
        try (path + "\0\0").withCString { name in
            try check(vfs.pointee.xOpen(vfs, name, file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL, nil))
            let methods = file.pointee.pMethods.pointee
            defer { _ = methods.xClose(file) }
            try copyOver(file, methods)
        }
    }

    private static func copyOver(_ file: UnsafeMutablePointer<sqlite3_file>, _ methods: sqlite3_io_methods) throws {
        var size: sqlite3_int64 = 0
        try check(methods.xFileSize(file, &size))
        guard size > 0 else { return }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: min(chunk, Int(size)), alignment: 16)
        defer { bytes.deallocate() }
        for offset in stride(from: 0, to: size, by: chunk) {
            let count = Int32(min(sqlite3_int64(bytes.count), size - offset))
            try check(methods.xRead(file, bytes.baseAddress, count, offset))
            try check(methods.xWrite(file, bytes.baseAddress, count, offset))
        }
        try check(methods.xSync(file, SQLITE_SYNC_NORMAL))
    }

    private static func check(_ code: Int32) throws {
        guard code == SQLITE_OK else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
    }
}
