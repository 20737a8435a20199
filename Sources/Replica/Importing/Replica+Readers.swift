import Interchange

extension Replica {
    /// Runs a body on the readers' queue, without a snapshot.
    package func onReaders<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await onQueue(readers) { try Self.translatingInterchange(body) }
    }

    /// Runs a body, and turns the errors of a file into those that users meet.
    package static func translatingInterchange<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as InterchangeError {
            if error.code == .cancelled { throw CancellationError() }
            throw Failure(cause: error)
        }
    }
}
