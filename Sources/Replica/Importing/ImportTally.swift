/// The number of rows by their outcome.
package struct ImportTally: Hashable, Sendable {
    package var created = 0
    package var updated = 0
    package var unchanged = 0

    /// No rows.
    package init() {}

    /// All rows.
    package var rows: Int { created + updated + unchanged }

    package static func += (left: inout ImportTally, right: ImportTally) {
        left.created += right.created
        left.updated += right.updated
        left.unchanged += right.unchanged
    }
}

/// The outcome of an import.
package struct ImportOutcome: Sendable {
    /// Rows that were compared, and written if they differ.
    package internal(set) var tally = ImportTally()
    /// The number of rows that cannot be loaded; if there is one, nothing is written.
    package internal(set) var rejectedCount = 0
    /// The first of them: `file:line:column: field: code: text (value)`.
    package internal(set) var rejects: [String] = []
    /// Rows without any content, which are skipped.
    package internal(set) var blankCount = 0
    /// The source's encoding and how it was determined; nil before the source was read.
    package internal(set) var encoding: (name: String, knownBy: String)?
    /// The import's id, 16 bytes; nil if nothing was written.
    package internal(set) var id: [UInt8]?
    /// True if it was stopped on request. The transactions before the stop are durable and counted.
    package internal(set) var isInterrupted = false

    /// An outcome before anything is read.
    package init() {}

    /// The outcome of an import that was stopped on request before anything was read.
    package static var interrupted: ImportOutcome {
        var outcome = ImportOutcome()
        outcome.isInterrupted = true
        return outcome
    }

    /// The maximum number of listed rejects; all are counted.
    package static let rejectsListedMax = 20

    mutating func reject(_ reject: String) {
        rejectedCount += 1
        if rejects.count < Self.rejectsListedMax { rejects.append(reject) }
    }
}
