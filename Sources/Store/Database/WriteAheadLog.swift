import Foundation
import GRDB
import GRDBSQLite

/// SQLite's write-ahead log, as a file.
enum WriteAheadLog {
    /// Bytes read and written at a time: 64 KiB, SQLite's largest page. SQLite's unix VFS writes no more in one call.
    private static let chunk = 1 << 16

    /// Rewrites the log of a database, byte for byte as the system shows it, and syncs it. Call this before SQLite
    /// reads the log, while no other process writes to it. After an orderly close there is no log, and the call does
    /// nothing.
    ///
    /// After a failed sync, Linux marks the unwritten pages as clean: reads still show them, but no later sync saves
    /// them (Rebello et al. 2020, "Can Applications Recover from fsync Failures?"). If the process is then killed, the
    /// next process finds the commit whole and copies it back into the database. If the power fails during that copy,
    /// the database has a part of the commit, and the log has nothing of it. Rewriting the log makes its pages durable.
    ///
    /// - Throws: `DatabaseError`.
    static func saveAgain(ofDatabase path: String) throws {
        let path = path + "-wal"
        guard FileManager.default.fileExists(atPath: path), let vfs = sqlite3_vfs_find(nil) else { return }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(vfs.pointee.szOsFile), alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        defer { memory.deallocate() }
        let file = memory.baseAddress!.assumingMemoryBound(to: sqlite3_file.self)
        // SQLite expects an empty list of parameters after a file name. The name must stay valid until the file is
        // closed.
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
