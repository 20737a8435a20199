package import Catalog

extension Store {
    /// One step of the rebuild of a projection whose version has changed: one durable transaction. Reads and writes may
    /// happen between two steps. After a crash, the next step continues after the last one.
    ///
    /// The first step empties the projection; each later step processes up to ``Configuration/projectionRecords``
    /// records or operations.
    ///
    /// - Returns: False if every projection is whole; then nothing was written.
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
    /// - Parameter body: Called between two steps; may throw to end the rebuild.
    /// - Throws: As ``rebuildProjectionStep(hasher:)``, and errors of `body`.
    package func rebuildProjections(hasher: some CatalogHasher, _ body: () throws -> Void = {}) throws {
        while try rebuildProjectionStep(hasher: hasher) { try body() }
    }
}
