import Foundation
import Glibc

/// Ends this process when the process that started it ends. For tests and measurements, whose nodes nobody else would stop.
///
/// `HANSA_TEST_LIFELINE` names a descriptor: the reading end of a pipe whose writing end only the starting process has.
/// Nothing is written to the pipe; the end of that process ends it.
package enum Lifeline {
    /// The name of the variable.
    package static let variable = "HANSA_TEST_LIFELINE"

    /// Starts to watch, on a thread of its own; does nothing if the variable is not set.
    package static func watch() {
        guard let descriptor = ProcessInfo.processInfo.environment[variable].flatMap(Int32.init) else { return }
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(descriptor, &byte, 1)
                // The descriptor is no pipe.
                if count < 0, errno != EINTR { return }
                if count == 0 { kill(getpid(), SIGKILL) }
            }
        }
    }
}
