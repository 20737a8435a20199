/// A requested change of one field.
package enum FieldChange: Hashable, Sendable {
    /// Sets the register to this value.
    case set(Value)
    /// Empties the field.
    case clear
    /// Makes the set hold exactly these elements.
    case elements([Value])
    /// Adds these elements to the set.
    case add([Value])
    /// Removes these elements from the set.
    case remove([Value])
}

/// Turns requested changes into the smallest operation that has their effect.
package enum Planner {
    /// Whether to write the winning value again if other values are live beside it.
    package enum Settling: Sendable {
        /// For imports: importing a file twice changes nothing, so people must settle conflicts.
        case leavesConflicts
        /// For edits by hand: an edit is a person's decision.
        case settles
    }

    /// The operation that creates a record, re-creates a deleted one or changes fields; nil if nothing differs.
    ///
    /// - Parameters:
    ///   - view: The present record; nil if there is none.
    ///   - key: The key of `identity`.
    ///   - changes: At most one per field.
    package static func upsert(
        _ identity: RecordIdentity,
        key: RecordKey,
        over view: RecordView?,
        changes: [(FieldPath, FieldChange)],
        settling: Settling
    ) -> OperationDraft? {
        var draft = Draft()
        if let view, view.isDeleted {
            draft.append(field: .tombstone, mode: .remove, value: nil, superseding: view.tombstones)
        }
        if view == nil || view?.identityWrites.isEmpty == true || view?.isDeleted == true {
            draft.append(
                field: .identity,
                mode: .set,
                value: .identity(identity),
                superseding: view?.identityWrites ?? []
            )
        }
        for (path, change) in changes {
            draft.apply(change, to: path, over: view?[path], settling: settling)
        }
        guard !draft.writes.isEmpty else { return nil }
        return OperationDraft(
            envelope: Envelope(key: key, kind: .ordinary, writes: draft.writes),
            values: draft.values
        )
    }

    /// The operation that deletes the record: it supersedes every live write and leaves a tombstone.
    package static func deletion(of view: RecordView) -> OperationDraft {
        var cited: Set<Dot> = []
        let whole = view.allCandidates.filter { cited.insert($0.dot).inserted }
            .map { Citation(dot: $0.dot, prefix: $0.hash.prefix, number: nil) }
            .sorted { $0.dot < $1.dot }
        var writes: [Write] = []
        for (position, part) in Draft.parts(whole).enumerated() {
            writes.append(Write(field: .tombstone, mode: position == 0 ? .set : .remove, supersedes: part))
        }
        return OperationDraft(
            envelope: Envelope(key: view.key, kind: .deletion, writes: writes),
            values: []
        )
    }

    private struct Draft {
        var writes: [Write] = []
        var values: [Value] = []

        /// Appends a write that supersedes the candidates; splits a list that is too long for one write over several.
        mutating func append(
            field: FieldPath,
            mode: Write.Mode,
            value: Value?,
            superseding candidates: [RecordView.Candidate]
        ) {
            if candidates.isEmpty {
                writes.append(Write(field: field, mode: mode))
                if let value { values.append(value) }
                return
            }
            let citations = candidates.map(\.citation).sorted { left, right in
                left.dot != right.dot ? left.dot < right.dot : (left.number ?? 0) < (right.number ?? 0)
            }
            for (position, part) in Self.parts(citations).enumerated() {
                writes.append(Write(field: field, mode: position == 0 ? mode : .remove, supersedes: part))
                if position == 0, let value { values.append(value) }
            }
        }

        /// Splits into parts of at most ``FormatLimits/citationsMax``; an empty list gives one empty part.
        static func parts(_ citations: [Citation]) -> [[Citation]] {
            guard citations.count > FormatLimits.citationsMax else { return [citations] }
            return stride(from: 0, to: citations.count, by: FormatLimits.citationsMax).map {
                Array(citations[$0..<min($0 + FormatLimits.citationsMax, citations.count)])
            }
        }

        mutating func apply(
            _ change: FieldChange,
            to path: FieldPath,
            over field: RecordView.Field?,
            settling: Settling
        ) {
            let live = field?.candidates ?? []
            switch change {
            case .set(let value):
                if let field, field.winner == value, settling == .leavesConflicts || !field.isConflict { return }
                append(field: path, mode: .set, value: value, superseding: live)
            case .clear:
                if !live.isEmpty { append(field: path, mode: .remove, value: nil, superseding: live) }
            case .elements(let wanted) where live.isEmpty:
                addElements(wanted, to: path)
            case .elements(let wanted):
                let wantedSet = Set(wanted)
                let present = Set(live.compactMap(\.value))
                let surplus = live.filter { $0.value.map { !wantedSet.contains($0) } ?? true }
                if !surplus.isEmpty { append(field: path, mode: .remove, value: nil, superseding: surplus) }
                addElements(wanted.filter { !present.contains($0) }, to: path)
            case .add(let elements):
                let present = Set(live.compactMap(\.value))
                addElements(elements.filter { !present.contains($0) }, to: path)
            case .remove(let elements):
                let unwantedValues = Set(elements)
                let unwanted = live.filter { $0.value.map(unwantedValues.contains) ?? false }
                if !unwanted.isEmpty { append(field: path, mode: .remove, value: nil, superseding: unwanted) }
            }
        }

        /// Adds each element once. An add supersedes the live adds of its element; the caller passes only elements that
        /// have none.
        private mutating func addElements(_ elements: [Value], to path: FieldPath) {
            // For short lists, comparing with the earlier elements costs less than hashing.
            var seen: Set<Value> = []
            for (position, element) in elements.enumerated() {
                let isNew =
                    elements.count <= 8 ? !elements[..<position].contains(element) : seen.insert(element).inserted
                guard isNew else { continue }
                append(field: path, mode: .add, value: element, superseding: [])
            }
        }
    }
}
