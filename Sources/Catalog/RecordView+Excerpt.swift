extension RecordView {
    /// Limits on the part of a wide record (``RecordReach``) that a view contains.
    package struct Extent: Hashable, Sendable {
        /// The maximum number of fields. The fields of the first live operations are included.
        package let fieldsMax: Int
        /// The size of the included fields' paths in bytes after which no further field is included.
        package let pathBytesMax: Int
        /// The maximum number of live writes of one field: the winner and those next in order.
        package let candidatesMax: Int
        /// The maximum number of operations whose values are read.
        package let operationsMax: Int
        /// The size of the read operations in bytes after which no further operation is read.
        package let operationBytesMax: Int

        /// For display to a person.
        package static let shown = Extent(
            fieldsMax: 1024,
            pathBytesMax: 64 * 1024,
            candidatesMax: 64,
            operationsMax: 1024,
            operationBytesMax: RecordReach.bytesMax
        )

        /// For an export that other programs load.
        package static let exported = Extent(
            fieldsMax: 65_536,
            pathBytesMax: 4 * 1024 * 1024,
            candidatesMax: 65_536,
            operationsMax: 65_536,
            operationBytesMax: 16 * 1024 * 1024
        )
    }

    /// Resolves a part of a wide record's state. The result is a function of the state alone.
    ///
    /// - Parameters:
    ///   - path: As for a complete view. Called only for included fields.
    ///   - values: As for a complete view; nil for an operation that must not be read. Called at most once per
    ///     operation: first for the operations of winning writes, then for the others, in ascending order of paths.
    /// - Complexity: That of sorting the live writes, plus the reads.
    package init(
        _ extent: Extent,
        ofWide state: RecordState,
        id: RecordID,
        owner: OrganizationID,
        key: RecordKey,
        path: (FieldNumber) throws -> FieldPath,
        values: (LiveOperation) throws -> [UInt32: Value]?
    ) rethrows {
        var numbers: [FieldNumber: Int] = [:]
        var gathered = [Gathered(.identity), Gathered(.tombstone)]
        var further: Set<FieldNumber> = []
        var pathBytes = 0
        for (index, operation) in state.operations.enumerated() {
            for (position, write) in operation.writes.enumerated() {
                let slot: Int
                if write.field == .identity {
                    slot = 0
                } else if write.field == .tombstone {
                    slot = 1
                } else if let known = numbers[write.field] {
                    slot = known
                } else if numbers.count < extent.fieldsMax, pathBytes <= extent.pathBytesMax {
                    let path = try path(write.field)
                    pathBytes += path.text.utf8.count
                    slot = gathered.count
                    numbers[write.field] = slot
                    gathered.append(Gathered(path))
                } else {
                    further.insert(write.field)
                    continue
                }
                gathered[slot].writes.append(Reference(operation: index, write: position))
                if write.mode == .add { gathered[slot].isSet = true }
            }
        }
        for slot in gathered.indices { gathered[slot].choose(extent.candidatesMax, of: state) }
        var read: [Int: [UInt32: Value]] = [:]
        func readValues(_ reference: Reference) throws {
            guard read[reference.operation] == nil else { return }
            read[reference.operation] = try values(state.operations[reference.operation]) ?? [:]
        }
        let ordered = gathered.prefix(2) + gathered.dropFirst(2).sorted { $0.path < $1.path }
        for field in ordered { if let winner = field.writes.first { try readValues(winner) } }
        for field in ordered { for reference in field.writes.dropFirst() { try readValues(reference) } }

        func candidates(_ field: Gathered) -> [Candidate] {
            field.writes.map { reference in
                let operation = state.operations[reference.operation]
                let write = operation.writes[reference.write]
                return Candidate(operation, write, read[reference.operation]?[write.number])
            }
        }
        self.init(
            id: id,
            owner: owner,
            key: key,
            state: state,
            identityWrites: candidates(gathered[0]),
            tombstones: candidates(gathered[1]),
            fields: ordered.dropFirst(2).map { field in
                Field(
                    path: field.path,
                    candidates: candidates(field),
                    furtherCount: field.furtherCount,
                    isSet: field.isSet,
                    isOfWideRecord: true
                )
            },
            furtherFieldCount: further.count
        )
    }

    /// Identifies a live write by its indices in a state.
    private struct Reference {
        let operation: Int
        /// The index among the operation's live writes.
        let write: Int

        /// The order of ``Candidate/precedes(_:_:)``. A state's operations ascend by dot, and their writes by number.
        func precedes(_ other: Reference, in state: RecordState) -> Bool {
            let stamps = (state.operations[operation].stamp, state.operations[other.operation].stamp)
            if stamps.0 != stamps.1 { return stamps.0 > stamps.1 }
            return operation != other.operation ? operation > other.operation : write > other.write
        }
    }

    /// The live writes of one field.
    private struct Gathered {
        let path: FieldPath
        var writes: [Reference] = []
        var isSet = false
        /// The number of writes that ``choose(_:of:)`` removed.
        var furtherCount = 0

        init(_ path: FieldPath) { self.path = path }

        /// Sorts the writes, the winner first, and keeps at most `countMax`.
        mutating func choose(_ countMax: Int, of state: RecordState) {
            writes.sort { $0.precedes($1, in: state) }
            furtherCount = max(0, writes.count - countMax)
            writes.removeLast(furtherCount)
        }
    }
}
