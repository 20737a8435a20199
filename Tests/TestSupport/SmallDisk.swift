import Foundation
import Glibc

/// A small file system in memory, for those who may mount one.
package final class SmallDisk {
    /// Where it is mounted.
    package let path: String

    /// Nil where mounting is not permitted.
    package init?(megabytes: Int) {
        path = "/dev/shm/hansa-test-disk-\(UUID().uuidString.prefix(8))"
        mkdir(path, 0o700)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m,mode=0700") == 0 else {
            rmdir(path)
            return nil
        }
    }

    /// Changes how it is mounted, its size for one; false where that is refused.
    package func remount(_ options: String, flags: UInt = 0) -> Bool {
        mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT) | flags, options) == 0
    }

    /// Takes away the room that is free now, but for a page or two; false where that is refused.
    package func fill() -> Bool {
        // What is used may grow while it is asked for.
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
