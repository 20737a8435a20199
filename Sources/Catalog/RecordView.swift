/// A record with the values of its live writes.
package struct RecordView: Sendable {
    /// One live write with its value.
    package struct Candidate: Hashable, Sendable {
        /// The value; nil if this node no longer holds its content, or if an excerpt did not read it.
        package let value: Value?
        package let dot: Dot
        package let stamp: Stamp
        package let hash: Hash256
        package let number: UInt32
        package let mode: Write.Mode

        package init(value: Value?, dot: Dot, stamp: Stamp, hash: Hash256, number: UInt32, mode: Write.Mode) {
            self.value = value
            self.dot = dot
            self.stamp = stamp
            self.hash = hash
            self.number = number
            self.mode = mode
        }

        init(_ operation: LiveOperation, _ write: LiveWrite, _ value: Value?) {
            self.init(
                value: value,
                dot: operation.dot,
                stamp: operation.stamp,
                hash: operation.hash,
                number: write.number,
                mode: write.mode
            )
        }

        /// A citation of exactly this write.
        package var citation: Citation { Citation(dot: dot, prefix: hash.prefix, number: number) }

        /// The order that determines the winner: clock, log, sequence, index, then the write's number. The highest
        /// comes first.
        fileprivate static func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
            if left.stamp != right.stamp { return left.stamp > right.stamp }
            if left.dot != right.dot { return right.dot < left.dot }
            return left.number > right.number
        }
    }

    /// A field with its live writes.
    package struct Field: Hashable, Sendable {
        package let path: FieldPath
        /// The winner first.
        package let candidates: [Candidate]
        /// The number of live writes that an excerpt leaves out.
        package let furtherCount: Int
        /// True if the field is a set, not a register.
        package let isSet: Bool
        /// True in a wide record (``RecordReach``), where values are not compared.
        private let isOfWideRecord: Bool

        init(
            path: FieldPath,
            candidates: [Candidate],
            furtherCount: Int = 0,
            isSet: Bool,
            isOfWideRecord: Bool
        ) {
            self.path = path
            self.candidates = candidates
            self.furtherCount = furtherCount
            self.isSet = isSet
            self.isOfWideRecord = isOfWideRecord
        }

        /// The winning value; nil if its content is no longer held.
        package var winner: Value? { candidates.first?.value }

        /// The different values, the winner first. A register with more than one is in conflict.
        package var distinctValues: [Value] {
            var seen: Set<Value> = []
            return candidates.compactMap(\.value).filter { seen.insert($0).inserted }
        }

        /// The elements of a set, ordered by the bytes of their texts. The order does not depend on authors and times.
        package var elements: [Value] {
            distinctValues.sorted { $0.displayText.precedesByBytes($1.displayText) }
        }

        /// True if several values are live and nobody has chosen between them. In a wide record several live writes are
        /// enough, even with equal values.
        package var isConflict: Bool {
            guard !isSet else { return false }
            return isOfWideRecord ? candidates.count + furtherCount > 1 : distinctValues.count > 1
        }
    }

    package let id: RecordID
    package let owner: OrganizationID
    package let key: RecordKey
    /// Kind and local id; nil if the operation that contains them has not arrived or was erased.
    package let identity: RecordIdentity?
    package let isDeleted: Bool
    package let isEditedWhileDeleted: Bool
    /// Ordinary fields in ascending order of paths.
    package let fields: [Field]
    /// The number of ordinary fields that an excerpt leaves out.
    package let furtherFieldCount: Int
    /// The live writes of ``FieldPath/identity``.
    package let identityWrites: [Candidate]
    /// The live tombstones: the live writes of ``FieldPath/tombstone``.
    package let tombstones: [Candidate]

    /// Resolves a complete state.
    ///
    /// - Parameters:
    ///   - isWide: The result of ``RecordState/reach(_:)``.
    ///   - path: Returns the path of a field number.
    ///   - values: Returns the values of an operation by the number of the write, without the values that are no longer
    ///     held.
    package init(
        id: RecordID,
        owner: OrganizationID,
        key: RecordKey,
        state: RecordState,
        isWide: Bool = false,
        path: (FieldNumber) throws -> FieldPath,
        values: (LiveOperation) throws -> [UInt32: Value]
    ) rethrows {
        // Most records are written by one import with ascending fields; these need neither a dictionary nor sorting.
        var written: [(field: FieldNumber, candidate: Candidate)] = []
        var areAscending = true
        for operation in state.operations {
            let values = try values(operation)
            written.reserveCapacity(written.count + operation.writes.count)
            for write in operation.writes {
                if let last = written.last, last.field > write.field { areAscending = false }
                written.append((write.field, Candidate(operation, write, values[write.number])))
            }
        }
        if !areAscending { written.sort { $0.field < $1.field } }
        var identityWrites: [Candidate] = []
        var tombstones: [Candidate] = []
        var fields: [Field] = []
        fields.reserveCapacity(written.count)
        var start = written.startIndex
        while start < written.endIndex {
            let number = written[start].field
            let end = written[start...].firstIndex { $0.field != number } ?? written.endIndex
            var candidates = written[start..<end].map(\.candidate)
            if candidates.count > 1 { candidates.sort(by: Candidate.precedes) }
            switch number {
            case .identity: identityWrites = candidates
            case .tombstone: tombstones = candidates
            default:
                fields.append(
                    Field(
                        path: try path(number),
                        candidates: candidates,
                        isSet: candidates.contains { $0.mode == .add },
                        isOfWideRecord: isWide
                    )
                )
            }
            start = end
        }
        self.init(
            id: id,
            owner: owner,
            key: key,
            state: state,
            identityWrites: identityWrites,
            tombstones: tombstones,
            fields: fields,
            furtherFieldCount: 0
        )
    }

    init(
        id: RecordID,
        owner: OrganizationID,
        key: RecordKey,
        state: RecordState,
        identityWrites: [Candidate],
        tombstones: [Candidate],
        fields: [Field],
        furtherFieldCount: Int
    ) {
        self.id = id
        self.owner = owner
        self.key = key
        self.identityWrites = identityWrites
        self.tombstones = tombstones
        self.fields = fields.sorted { $0.path < $1.path }
        self.furtherFieldCount = furtherFieldCount
        isDeleted = state.isDeleted
        isEditedWhileDeleted = state.isEditedWhileDeleted
        identity =
            identityWrites.lazy.compactMap { candidate in
                if case .identity(let identity) = candidate.value { identity } else { nil }
            }.first
    }

    /// The field at a path; nil if the view has none. Logarithmic.
    package subscript(path: FieldPath) -> Field? {
        var low = fields.startIndex
        var high = fields.endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if fields[middle].path < path { low = middle + 1 } else { high = middle }
        }
        return low < fields.endIndex && fields[low].path == path ? fields[low] : nil
    }

    /// The fields with an unsettled conflict.
    package var conflicts: [Field] { fields.filter(\.isConflict) }

    /// Every live write.
    package var allCandidates: [Candidate] {
        fields.flatMap(\.candidates) + identityWrites + tombstones
    }
}
