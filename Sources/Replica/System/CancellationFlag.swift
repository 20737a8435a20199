import Synchronization

/// Tells code outside of tasks, on a queue or in a loop of reads, that its task was cancelled.
package final class CancellationFlag: Sendable {
    private let flag = Atomic(false)

    package var isSet: Bool { flag.load(ordering: .relaxed) }

    package init() {
    }

    /// - Throws: `CancellationError` if the flag is set.
    package func check() throws {
        if isSet { throw CancellationError() }
    }

    /// Sets the flag permanently.
    package func set() { flag.store(true, ordering: .relaxed) }

    /// Runs a body with a flag that is set when this task is cancelled.
    package static func during<Result>(_ body: (CancellationFlag) async throws -> Result) async throws -> Result {
        let flag = CancellationFlag()
        return try await withTaskCancellationHandler {
            try await body(flag)
        } onCancel: {
            flag.set()
        }
    }
}
