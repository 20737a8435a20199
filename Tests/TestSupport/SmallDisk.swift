import Foundation
import Glibc

/// A small file system in memory, for processes that may mount one.
package final class SmallDisk {
    /// The mount point.
    package let path: String

    /// Nil if mounting is not permitted.
    package init?(megabytes: Int) {
        path = "/dev/shm/hansa-test-disk-\(UUID().uuidString.prefix(8))"
        mkdir(path, 0o700)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m,mode=0700") == 0 else {
            rmdir(path)
            return nil
        }
    }

    /// Remounts with other options, such as the size; false if the system refuses.
    package func remount(_ options: String, flags: UInt = 0) -> Bool {
        mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT) | flags, options) == 0
    }

    /// Shrinks the file system until only a page or two are free; false if the system refuses.
    package func fill() -> Bool {
        // The used space may grow between the query and the remount.
        eventually(seconds: 5, every: 1_000) {
            var facts = statvfs()
            guard statvfs(path, &facts) == 0 else { return false }
            let used = (UInt(facts.f_blocks) - UInt(facts.f_bfree)) * UInt(facts.f_frsize)
            return remount("size=\(used + 8192)")
        }
    }

    deinit {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }
}
