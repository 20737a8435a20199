package import Glibc

/// A process that was started here: ended with the value that owns it, whatever becomes of the test. One of Hansa's own
/// programs also ends with the process that started it, even where that is killed.
///
/// Foundation's `Process` runs a run loop on the waiting thread; waiting here is a plain loop over `waitpid` with a
/// bound, so that nothing a program does can hang a test run.
package final class ChildProcess {
    package let processIdentifier: pid_t
    private var ended: Int32?

    /// What Hansa's programs watch (`Lifeline`): the reading end of a pipe that this process never writes to. The writing
    /// end closes with this process; no child has it.
    private static let lifeline: Int32? = {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        // Neither end is left to a child by itself, and what is handed over lies above all that a child has.
        let high = ends.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
        for end in ends { close(end) }
        return high.contains { $0 < 0 } ? nil : high[0]
    }()
    /// What it is called in a child.
    private static let lifelineInChild: Int32 = 3

    package struct StartFailure: Error {
        package let program: String
        package let reason: String
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: Its path; found along PATH where it has no slash.
    ///   - environment: All of it.
    ///   - input: The file for standard input; nil for an empty one.
    ///   - output: The file that standard output is appended to; nil to let it go.
    ///   - errors: Likewise for standard error.
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
        // Who runs tests in the background may have interrupts ignored, which children inherit.
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

    /// True until it has ended.
    package var isRunning: Bool {
        guard ended == nil else { return false }
        var status: Int32 = 0
        let found = waitpid(processIdentifier, &status, WNOHANG)
        guard found == processIdentifier else { return found == 0 }
        ended = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return false
    }

    /// Waits for its end; the exit code, or 128 and the signal that ended it. It is killed where it takes longer than
    /// that, which gives nil.
    @discardableResult
    package func wait(seconds: Double = 120) -> Int32? {
        guard eventually(seconds: seconds, every: 1_000, { !isRunning }) else {
            end()
            return nil
        }
        return ended
    }

    /// Sends a signal, if it still runs.
    package func send(_ signal: Int32) {
        if isRunning { kill(processIdentifier, signal) }
    }

    /// Ends it at once.
    package func end() {
        guard isRunning else { return }
        kill(processIdentifier, SIGKILL)
        var status: Int32 = 0
        waitpid(processIdentifier, &status, 0)
        ended = 128 + SIGKILL
    }
}
