import Foundation
import Glibc

/// Ends this process with the one that started it, however that one ends: for tests and measurements, whose nodes nobody else
/// would stop.
///
/// `HANSA_TEST_LIFELINE` names a descriptor that is the reading end of a pipe whose writing end the starting process
/// alone has. It is never written to; when that process is gone, reading finds the end.
package enum Lifeline {
    /// The name of the variable.
    package static let variable = "HANSA_TEST_LIFELINE"

    /// Watches from now on, on a thread of its own; does nothing where the variable is not set.
    package static func watch() {
        guard let descriptor = ProcessInfo.processInfo.environment[variable].flatMap(Int32.init) else { return }
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(descriptor, &byte, 1)
                // What is no pipe is nobody's lifeline.
                if count < 0, errno != EINTR { return }
                if count == 0 { kill(getpid(), SIGKILL) }
            }
        }
    }
}
