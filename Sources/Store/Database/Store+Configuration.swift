extension Store {
    /// The limits and sizes by which the store uses the machine.
    package struct Configuration: Sendable {
        /// Snapshots read at one time; further readers wait. 8 is a guess: more than two cores use, so a slow export
        /// does not delay searches.
        package var readersMax = 8
        /// Memory for pages of the file, per connection, in KiB. 40 MiB: the leaves of the index on record ids, which
        /// every new record writes to at random, take 20 MB at a million records.
        package var writerCacheKiB = 40 * 1024
        /// As above for each reader. 4 MiB, because the system's page cache also serves readers.
        package var readerCacheKiB = 4 * 1024
        /// Pages in the write-ahead log at which it is copied back into the file. 16,384 (64 MiB) instead of SQLite's
        /// 1,000: pages that several batches write to are copied once. Together with the larger cache, this saved a
        /// quarter of the time of plain inserts.
        package var checkpointPages = 16_384
        /// Maximum pages of 4 KiB in the file; nil for no limit but the disk. Beyond it, writes fail with `diskFull`,
        /// as they do on a full disk.
        package var pagesMax: Int?
        /// Operations merged in one transaction of a rebuild. 10,000, a guess: some tenths of a second.
        package var rebuildOperations = 10_000
        /// Operations of a log that one step of a relimit processes. 2,000, a guess: some tenths of a second, during
        /// which a local edit waits.
        package var relimitOperations = 2_000
        /// Operations of the records concerned that one step of a relimit reads. 250,000, a guess: one or two seconds.
        package var relimitReads = 250_000
        /// Records, or operations, that one step of a projection's rebuild processes. 2,000, a guess: some hundredths
        /// of a second, during which a local edit waits.
        package var projectionRecords = 2_000
        /// The maximum time of such a step; the record in progress may exceed it.
        package var projectionDuration = Duration.milliseconds(200)
        /// The maximum time to wait for another process that holds the file, in seconds.
        package var busyTimeoutSeconds = 5.0
        package init() {}
    }
}
