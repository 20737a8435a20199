/// A record as people see it: its state with the values that its live writes gave.
package struct RecordView: Sendable {
    /// One live write with its value.
    package struct Candidate: Hashable, Sendable {
        /// The value; nil where its content is no longer held here.
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

        /// True if it holds elements rather than one value.
        package var isSet: Bool { candidates.contains { $0.mode == .add } }

        /// The value shown; nil for one whose content is no longer held.
        package var winner: Value? { candidates.first?.value }

        /// Different values, the winner first; more than one in a register is a conflict.
        package var distinctValues: [Value] {
            var seen: Set<Value> = []
            return candidates.compactMap(\.value).filter { seen.insert($0).inserted }
        }

        /// True if values that nobody has chosen between are live.
        package var isConflict: Bool { !isSet && distinctValues.count > 1 }
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
    /// Live writes of ``FieldPath/identity`` and ``FieldPath/mark``.
    package let identityWrites: [Candidate]
    package let marks: [Candidate]

    /// Resolves a state. `path` and `values` give the path of a field number and the values of an operation by the
    /// number of the write; values that are no longer held are nil.
    package init(
        id: RecordID,
        owner: OrganizationID,
        key: RecordKey,
        state: RecordState,
        path: (FieldNumber) throws -> FieldPath,
        values: (LiveOperation) throws -> [UInt32: Value]
    ) rethrows {
        var byField: [FieldNumber: [Candidate]] = [:]
        for operation in state.operations {
            let values = try values(operation)
            for write in operation.writes {
                let candidate = Candidate(
                    value: values[write.number],
                    dot: operation.dot,
                    stamp: operation.stamp,
                    hash: operation.hash,
                    number: write.number,
                    mode: write.mode
                )
                byField[write.field, default: []].append(candidate)
            }
        }
        for key in byField.keys { byField[key]?.sort(by: Candidate.precedes) }
        identityWrites = byField.removeValue(forKey: .identity) ?? []
        marks = byField.removeValue(forKey: .mark) ?? []
        fields = try byField.map { Field(path: try path($0.key), candidates: $0.value) }
            .sorted { $0.path < $1.path }
        self.id = id
        self.owner = owner
        self.key = key
        isDeleted = state.isDeleted
        isEditedWhileDeleted = state.isEditedWhileDeleted
        identity =
            identityWrites.lazy.compactMap { candidate in
                if case .identity(let identity) = candidate.value { identity } else { nil }
            }.first
    }

    package subscript(path: FieldPath) -> Field? {
        fields.first { $0.path == path }
    }

    /// The fields in which a conflict waits to be settled.
    package var conflicts: [Field] { fields.filter(\.isConflict) }

    /// Every live write.
    package var allCandidates: [Candidate] {
        fields.flatMap(\.candidates) + identityWrites + marks
    }

    /// How it is called: its name in any language, its title, or else its local id.
    package func displayName(languages: [String] = ["und", "en", "zh"]) -> String {
        for base in ["name", "title", "labels"] {
            for language in languages {
                if let text = self[FieldPath(unchecked: "\(base)/\(language)")]?.winner { return text.displayText }
            }
            if let field = fields.first(where: { $0.path.base == base }), let text = field.winner {
                return text.displayText
            }
        }
        return identity?.localID ?? id.short
    }
}
