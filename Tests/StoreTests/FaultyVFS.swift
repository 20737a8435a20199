import Foundation
import GRDB
import GRDBSQLite
import Synchronization

/// Connects SQLite to a ``FaultyDisk``: a VFS on top of the system's, for the whole process.
///
/// It replaces the default VFS, so tests open a store exactly as a node does. Files in folders without a ``FaultyDisk``
/// go directly to the system's VFS, after one table look-up when they are opened.
enum FaultyVFS {
    private struct Reference {
        weak var disk: FaultyDisk?
    }

    private static let disks = Mutex<[String: Reference]>([:])

    static func add(_ disk: FaultyDisk) {
        precondition(isInstalled)
        disks.withLock { $0[disk.folder] = Reference(disk: disk) }
    }

    static func remove(_ disk: FaultyDisk) {
        // The folder may have another disk by now.
        disks.withLock { if $0[disk.folder]?.disk == nil { $0[disk.folder] = nil } }
    }

    /// The disk under a file, and the file's name.
    fileprivate static func find(_ path: UnsafePointer<CChar>?) -> (disk: FaultyDisk, name: String)? {
        guard let path else { return nil }
        let text = String(cString: path)
        guard let slash = text.lastIndex(of: "/"),
            let disk = disks.withLock({ $0[String(text[..<slash])]?.disk })
        else { return nil }
        return (disk, String(text[text.index(after: slash)...]))
    }

    // MARK: - Files

    /// The memory of an open file in SQLite. The memory of the system's file follows it.
    fileprivate struct OpenFile {
        /// The first member, since SQLite uses the whole struct as this type.
        var base: sqlite3_file
        let disk: Unmanaged<FaultyDisk>
        /// Its number on the disk.
        let file: Int
        /// True until the first sync of a journal that may be new. With this sync, SQLite's unix VFS also syncs the
        /// folder (see `UNIXFILE_DIRSYNC`).
        var syncsFolder: Bool
    }

    private typealias File = UnsafeMutablePointer<sqlite3_file>

    private static func open(_ file: File?) -> UnsafeMutablePointer<OpenFile> {
        UnsafeMutableRawPointer(file!).assumingMemoryBound(to: OpenFile.self)
    }

    /// The system's file of one of ours, and its methods.
    private static func system(_ file: File?) -> (file: File, methods: sqlite3_io_methods) {
        let below = below(UnsafeMutableRawPointer(file!))
        return (below, below.pointee.pMethods.pointee)
    }

    private static func below(_ file: UnsafeMutableRawPointer) -> File {
        (file + MemoryLayout<OpenFile>.stride).assumingMemoryBound(to: sqlite3_file.self)
    }

    private static func disk(_ file: File?) -> FaultyDisk { open(file).pointee.disk.takeUnretainedValue() }

    /// Version 2 omits memory-mapped reading; the wal-index uses the system's methods.
    private nonisolated(unsafe) static let methods: UnsafeMutablePointer<sqlite3_io_methods> = {
        var methods = sqlite3_io_methods()
        methods.iVersion = 2
        methods.xClose = { file in
            let (below, methods) = FaultyVFS.system(file)
            let disk = FaultyVFS.open(file).pointee.disk
            disk.takeUnretainedValue().withState { $0.connections[UInt(bitPattern: file)] = nil }
            let code = methods.xClose(below)
            disk.release()
            return code
        }
        methods.xRead = { file, bytes, count, offset in
            guard FaultyVFS.disk(file).withState({ $0.isAnswering }) else {
                return ResultCode.SQLITE_IOERR_READ.rawValue
            }
            let (below, methods) = FaultyVFS.system(file)
            return methods.xRead(below, bytes, count, offset)
        }
        methods.xWrite = { file, bytes, count, offset in
            let (below, methods) = FaultyVFS.system(file)
            let number = FaultyVFS.open(file).pointee.file
            let new = Array(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return FaultyVFS.disk(file).withState { state in
                state.write(new, at: Int(offset), to: number) { methods.xWrite(below, bytes, Int32($0), offset) }
            }
        }
        methods.xTruncate = { file, size in
            let (below, methods) = FaultyVFS.system(file)
            let number = FaultyVFS.open(file).pointee.file
            return FaultyVFS.disk(file).withState { state in
                state.truncate(number, to: Int(size)) { methods.xTruncate(below, size) }
            }
        }
        methods.xSync = { file, _ in
            // The real file needs no sync, because only this process sees it.
            let (number, syncsFolder) = (FaultyVFS.open(file).pointee.file, FaultyVFS.open(file).pointee.syncsFolder)
            let code = FaultyVFS.disk(file).withState { $0.sync(number, syncsFolder: syncsFolder) }
            if code == SQLITE_OK { FaultyVFS.open(file).pointee.syncsFolder = false }
            return code
        }
        methods.xFileSize = { file, size in
            guard FaultyVFS.disk(file).withState({ $0.isAnswering }) else {
                return ResultCode.SQLITE_IOERR_FSTAT.rawValue
            }
            let (below, methods) = FaultyVFS.system(file)
            return methods.xFileSize(below, size)
        }
        methods.xLock = { file, level in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xLock(below, level)
        }
        methods.xUnlock = { file, level in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xUnlock(below, level)
        }
        methods.xCheckReservedLock = { file, result in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xCheckReservedLock(below, result)
        }
        methods.xFileControl = { file, operation, argument in
            if operation == SQLITE_FCNTL_PDB, let argument {
                // SQLite passes the connection of the file.
                let connection = UInt(bitPattern: argument.load(as: OpaquePointer?.self))
                FaultyVFS.disk(file).withState { $0.connections[UInt(bitPattern: file)] = connection }
            }
            let (below, methods) = FaultyVFS.system(file)
            return methods.xFileControl(below, operation, argument)
        }
        methods.xSectorSize = { file in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xSectorSize(below)
        }
        methods.xDeviceCharacteristics = { file in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xDeviceCharacteristics(below)
        }
        methods.xShmMap = { file, region, size, extends, address in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xShmMap(below, region, size, extends, address)
        }
        methods.xShmLock = { file, offset, count, flags in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xShmLock(below, offset, count, flags)
        }
        methods.xShmBarrier = { file in
            let (below, methods) = FaultyVFS.system(file)
            methods.xShmBarrier(below)
        }
        methods.xShmUnmap = { file, deletes in
            let (below, methods) = FaultyVFS.system(file)
            return methods.xShmUnmap(below, deletes)
        }
        let memory = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        memory.initialize(to: methods)
        return memory
    }()

    // MARK: - The VFS

    /// The system's VFS, which accesses the real files.
    private nonisolated(unsafe) static let systemVFS: UnsafeMutablePointer<sqlite3_vfs> = sqlite3_vfs_find("unix")!

    /// Installed once and never removed, because connections keep its address.
    private static let isInstalled: Bool = {
        precondition(MemoryLayout<OpenFile>.offset(of: \.base) == 0)
        // The methods that are not replaced ignore the VFS argument.
        var vfs = systemVFS.pointee
        vfs.zName = UnsafePointer(strdup("faulty"))
        vfs.pNext = nil
        vfs.szOsFile += Int32(MemoryLayout<OpenFile>.stride)
        vfs.xOpen = { _, path, file, flags, outFlags in
            guard let (disk, name) = FaultyVFS.find(path) else {
                return FaultyVFS.systemVFS.pointee.xOpen(FaultyVFS.systemVFS, path, file, flags, outFlags)
            }
            let address = UnsafeMutableRawPointer(file!)
            address.assumingMemoryBound(to: sqlite3_file.self).pointee.pMethods = nil
            let (code, number) = disk.withState { state -> (Int32, Int) in
                guard state.isAnswering else { return (SQLITE_IOERR, 0) }
                let below = FaultyVFS.below(address)
                let code = FaultyVFS.systemVFS.pointee.xOpen(FaultyVFS.systemVFS, path, below, flags, outFlags)
                return (code, code == SQLITE_OK ? state.file(named: name) : 0)
            }
            guard code == SQLITE_OK else { return code }
            let journals = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL
            address.assumingMemoryBound(to: OpenFile.self).initialize(
                to: OpenFile(
                    base: sqlite3_file(pMethods: FaultyVFS.methods),
                    disk: Unmanaged.passRetained(disk),
                    file: number,
                    syncsFolder: flags & SQLITE_OPEN_CREATE != 0 && flags & journals != 0
                )
            )
            return SQLITE_OK
        }
        vfs.xDelete = { _, path, syncsFolder in
            guard let (disk, name) = FaultyVFS.find(path) else {
                return FaultyVFS.systemVFS.pointee.xDelete(FaultyVFS.systemVFS, path, syncsFolder)
            }
            return disk.withState { state in
                state.delete(name, syncsFolder: syncsFolder != 0) {
                    FaultyVFS.systemVFS.pointee.xDelete(FaultyVFS.systemVFS, path, 0)
                }
            }
        }
        vfs.xAccess = { _, path, flags, result in
            if let (disk, _) = FaultyVFS.find(path), !disk.withState({ $0.isAnswering }) {
                return ResultCode.SQLITE_IOERR_ACCESS.rawValue
            }
            return FaultyVFS.systemVFS.pointee.xAccess(FaultyVFS.systemVFS, path, flags, result)
        }
        let memory = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        memory.initialize(to: vfs)
        return sqlite3_vfs_register(memory, 1) == SQLITE_OK
    }()
}
