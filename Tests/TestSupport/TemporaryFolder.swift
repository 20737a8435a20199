package import Foundation
import Glibc

/// A folder for one test, removed with this object.
package final class TemporaryFolder {
    package let path: String
    /// The folder for the nodes' sockets and tokens (`XDG_RUNTIME_DIR`). It is in memory if the system allows it, so a
    /// test leaves nothing in the user's own runtime directory.
    package let runtime: String

    /// - Parameter place: the parent folder; nil for the system's temporary folder.
    package init(in place: String? = nil) throws {
        let name = "hansa-test-\(UUID().uuidString.prefix(8))"
        path = (place ?? FileManager.default.temporaryDirectory.path) + "/" + name
        runtime = (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/" + name + "-run"
        for folder in [path, runtime] {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        }
    }

    deinit {
        for folder in [path, runtime] { try? FileManager.default.removeItem(atPath: folder) }
    }

    package func callAsFunction(_ name: String) -> String { path + "/" + name }

    /// Writes a file and returns its path.
    package func file(_ name: String, _ data: Data) throws -> String {
        try data.write(to: URL(fileURLWithPath: self(name)))
        return self(name)
    }

    package func file(_ name: String, _ text: String) throws -> String { try file(name, Data(text.utf8)) }
}
