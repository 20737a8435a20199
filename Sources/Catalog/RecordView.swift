/// A record as people see it: its state with the values that its live writes gave.
package struct RecordView: Sendable {
    /// One live write with its value.
    package struct Candidate: Hashable, Sendable {
        /// The value; nil where its content is no longer held here, and in an excerpt where it was not read.
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

        /// Names this write alone.
        package var citation: Citation { Citation(dot: dot, prefix: hash.prefix, number: number) }

        /// The order by which a winner is chosen: clock, log, sequence, index; then the write's number.
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
        /// Live writes that an excerpt leaves out.
        package let furtherCount: Int
        /// True if it holds elements rather than one value.
        package let isSet: Bool
        /// True in a wide record (``RecordReach``): whether its values differ is not looked at.
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

        /// The value shown; nil for one whose content is no longer held.
        package var winner: Value? { candidates.first?.value }

        /// Different values, the winner first; more than one in a register is a conflict.
        package var distinctValues: [Value] {
            var seen: Set<Value> = []
            return candidates.compactMap(\.value).filter { seen.insert($0).inserted }
        }

        /// The elements of a set, in an order of their own: that of their texts' bytes, whoever wrote what first.
        package var elements: [Value] {
            distinctValues.sorted { $0.displayText.precedesByBytes($1.displayText) }
        }

        /// True if values that nobody has chosen between are live. In a wide record several live writes are enough, equal
        /// or not.
        package var isConflict: Bool {
            guard !isSet else { return false }
            return isOfWideRecord ? candidates.count + furtherCount > 1 : distinctValues.count > 1
        }
    }

    package let id: RecordID
    package let owner: OrganizationID
    package let key: RecordKey
    /// Kind and local id; nil where the operation that told them has not come or was erased.
    package let identity: RecordIdentity?
    package let isDeleted: Bool
    package let isEditedWhileDeleted: Bool
    /// Ordinary fields, ascending by path.
    package let fields: [Field]
    /// Ordinary fields that an excerpt leaves out.
    package let furtherFieldCount: Int
    /// Live writes of ``FieldPath/identity`` and ``FieldPath/mark``.
    package let identityWrites: [Candidate]
    package let marks: [Candidate]

    /// Resolves a whole state. `path` and `values` give the path of a field number and the values of an operation by the
    /// number of the write; values that are no longer held are nil.
    ///
    /// - Parameter isWide: By ``RecordState/reach(_:)``.
    package init(
        id: RecordID,
        owner: OrganizationID,
        key: RecordKey,
        state: RecordState,
        isWide: Bool = false,
        path: (FieldNumber) throws -> FieldPath,
        values: (LiveOperation) throws -> [UInt32: Value]
    ) rethrows {
        // Most records are as one import wrote them, with ascending fields: those need neither a dictionary nor sorting.
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
        var marks: [Candidate] = []
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
            case .mark: marks = candidates
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
            marks: marks,
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
        marks: [Candidate],
        fields: [Field],
        furtherFieldCount: Int
    ) {
        self.id = id
        self.owner = owner
        self.key = key
        self.identityWrites = identityWrites
        self.marks = marks
        self.fields = fields.sorted { $0.path < $1.path }
        self.furtherFieldCount = furtherFieldCount
        isDeleted = state.isDeleted
        isEditedWhileDeleted = state.isEditedWhileDeleted
        identity =
            identityWrites.lazy.compactMap { candidate in
                if case .identity(let identity) = candidate.value { identity } else { nil }
            }.first
    }

    /// The field at a path; nil where the view has none. Logarithmic.
    package subscript(path: FieldPath) -> Field? {
        var low = fields.startIndex
        var high = fields.endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if fields[middle].path < path { low = middle + 1 } else { high = middle }
        }
        return low < fields.endIndex && fields[low].path == path ? fields[low] : nil
    }

    /// The fields in which a conflict waits to be settled.
    package var conflicts: [Field] { fields.filter(\.isConflict) }

    /// Every live write.
    package var allCandidates: [Candidate] {
        fields.flatMap(\.candidates) + identityWrites + marks
    }
}
