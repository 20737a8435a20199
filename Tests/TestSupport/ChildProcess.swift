package import Glibc

/// A child process that ends with the value that owns it, whatever the test's outcome. Hansa's own programs also end if
/// this process is killed.
///
/// Foundation's `Process` runs a run loop on the waiting thread. This type polls `waitpid` with a time limit, so no
/// program can hang a test run.
package final class ChildProcess {
    package let processIdentifier: pid_t
    private var ended: Int32?

    /// The reading end of a pipe that Hansa's programs watch (`Lifeline`); this process never writes to the pipe. The
    /// writing end closes with this process; no child has it.
    private static let lifeline: Int32? = {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        // Neither end is inherited by default, and the descriptors are above all that a child uses.
        let high = ends.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
        for end in ends { close(end) }
        return high.contains { $0 < 0 } ? nil : high[0]
    }()
    /// The descriptor's number in a child.
    private static let lifelineInChild: Int32 = 3

    package struct StartFailure: Error {
        package let program: String
        package let reason: String
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: the program's path; searched in PATH if it has no slash.
    ///   - environment: the complete environment.
    ///   - input: the file for standard input; nil for an empty one.
    ///   - output: the file to which standard output is appended; nil to discard it.
    ///   - errors: the same for standard error.
    /// - Throws: ``StartFailure``.
    package init(
        _ program: String,
        _ arguments: [String],
        environment: [String: String],
        input: String? = nil,
        output: String? = nil,
        errors: String? = nil
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input ?? "/dev/null", O_RDONLY, 0)
        let flags = O_WRONLY | O_CREAT | O_APPEND
        posix_spawn_file_actions_addopen(&actions, 1, output ?? "/dev/null", flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors ?? "/dev/null", flags, 0o600)
        var environment = environment
        environment["HANSA_TEST_LIFELINE"] = nil
        if let lifeline = Self.lifeline {
            posix_spawn_file_actions_adddup2(&actions, lifeline, Self.lifelineInChild)
            environment["HANSA_TEST_LIFELINE"] = "\(Self.lifelineInChild)"
        }
        let words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        let variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") }
        defer { for pointer in words + variables { free(pointer) } }
        // Background test runs may ignore interrupts, and children inherit that setting.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var interrupts = sigset_t()
        sigemptyset(&interrupts)
        sigaddset(&interrupts, SIGINT)
        posix_spawnattr_setsigdefault(&attributes, &interrupts)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        var number: pid_t = 0
        let code = posix_spawnp(&number, program, &actions, &attributes, words + [nil], variables + [nil])
        guard code == 0 else { throw StartFailure(program: program, reason: String(cString: strerror(code))) }
        processIdentifier = number
    }

    deinit {
        end()
    }

    /// True until the process has ended.
    package var isRunning: Bool {
        guard ended == nil else { return false }
        var status: Int32 = 0
        let found = waitpid(processIdentifier, &status, WNOHANG)
        guard found == processIdentifier else { return found == 0 }
        ended = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return false
    }

    /// Waits for the process's end. Returns the exit code, or 128 plus the signal that ended it. If the time limit
    /// passes, kills the process and returns nil.
    @discardableResult
    package func wait(seconds: Double = 120) -> Int32? {
        guard eventually(seconds: seconds, every: 1_000, { !isRunning }) else {
            end()
            return nil
        }
        return ended
    }

    /// Sends a signal if the process still runs.
    package func send(_ signal: Int32) {
        if isRunning { kill(processIdentifier, signal) }
    }

    /// Kills the process.
    package func end() {
        guard isRunning else { return }
        kill(processIdentifier, SIGKILL)
        var status: Int32 = 0
        waitpid(processIdentifier, &status, 0)
        ended = 128 + SIGKILL
    }
}
