import DeltaLog
package import Store

// Projections whose version has changed.

extension Replica {
    /// A step that ``rebuildProjection()`` took.
    package struct ProjectionStep: Sendable {
        package let projection: ProjectionName
        /// True if the projection is whole now.
        package let isDone: Bool
    }

    /// Takes a step of the rebuild of a projection whose version has changed.
    ///
    /// - Parameter wanted: The projection that is needed; nil for any.
    /// - Returns: Nil where the projection is whole, or all are.
    /// - Throws: ``Failure``, with ``Reason/databaseLocked`` where another program's lock was in the way.
    package func rebuildProjection(_ wanted: ProjectionName? = nil) async throws -> ProjectionStep? {
        let (writer, cryptography) = (writer, cryptography)
        return try await writer.run { [self] in
            guard let next = try snapshot({ try $0.unfinishedProjections() }).first?.name,
                wanted == nil || wanted == next
            else { return nil }
            _ = try writer.access { try $0.rebuildProjectionStep(hasher: cryptography) }
            let isDone = try !snapshot { try $0.unfinishedProjections() }.contains { $0.name == next }
            return ProjectionStep(projection: next, isDone: isDone)
        }
    }

    /// Rebuilds the projections whose version has changed, to the end: for a process that has the folder without running its
    /// node. If that cannot be done now, commands that need them say so.
    ///
    /// - Throws: ``Failure``, where the disk or the file can no longer be trusted.
    package func finishProjections() async throws {
        let (writer, cryptography) = (writer, cryptography)
        try await writer.run {
            try writer.access { store in
                do {
                    if try !store.isRebuilding() { try store.rebuildProjections(hasher: cryptography) }
                } catch let error as StoreError where !error.isFatal {}
            }
        }
    }
}
