package import Catalog

extension Store {
    /// One step of the rebuild of a projection whose version has changed: one durable transaction. Between two steps anything
    /// may be read and written, and after a crash the next step goes on where the last one stopped.
    ///
    /// The first step of a projection empties it, whatever it holds; each other one takes
    /// ``Configuration/projectionRecords`` records, or so many operations.
    ///
    /// - Returns: False where every projection is whole, and nothing was written.
    /// - Throws: ``StoreError``; `rebuilding` while a rebuild of everything is unfinished.
    package func rebuildProjectionStep(hasher: some CatalogHasher) throws -> Bool {
        let limit = ProjectionStepLimit(
            positions: configuration.projectionRecords,
            duration: configuration.projectionDuration
        )
        guard try !read({ try $0.unfinishedProjections() }).isEmpty else { return false }
        return try write { try $0.rebuildProjectionStep(limit, hasher: hasher) }
    }

    /// Rebuilds every projection whose version has changed, to the end.
    ///
    /// - Parameter body: Called between two steps; throws to end.
    /// - Throws: As ``rebuildProjectionStep(hasher:)``, and what `body` throws.
    package func rebuildProjections(hasher: some CatalogHasher, _ body: () throws -> Void = {}) throws {
        while try rebuildProjectionStep(hasher: hasher) { try body() }
    }
}
