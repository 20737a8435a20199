import OrderedCollections

/// The number of a field path in this node's ``FieldTable``. Local to a node: it never reaches a hash or a peer.
package struct FieldNumber: Hashable, Comparable, Sendable {
    package let rawValue: Int32

    package init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The number of ``FieldPath/tombstone`` in every table.
    package static let tombstone = FieldNumber(rawValue: 0)
    /// The number of ``FieldPath/identity`` in every table.
    package static let identity = FieldNumber(rawValue: 1)

    package static func < (left: FieldNumber, right: FieldNumber) -> Bool { left.rawValue < right.rawValue }
}

/// Assigns numbers to field paths, so a record's state can refer to a path by number.
package struct FieldTable: Sendable {
    private var paths: OrderedSet<FieldPath> = [.tombstone, .identity]

    package init() {}

    /// The number of paths in the table, which is also the next new path's number.
    package var count: Int { paths.count }

    /// The path's number; a new path gets the next number. Constant expected time.
    package mutating func number(of path: FieldPath) -> FieldNumber {
        FieldNumber(rawValue: Int32(paths.append(path).index))
    }

    /// The path of a number; nil for an unassigned number.
    package func path(of number: FieldNumber) -> FieldPath? {
        let position = Int(number.rawValue)
        return paths.indices.contains(position) ? paths[position] : nil
    }
}

/// A write that nothing supersedes.
package struct LiveWrite: Hashable, Sendable {
    package let number: UInt32
    package let field: FieldNumber
    package let mode: Write.Mode

    package init(number: UInt32, field: FieldNumber, mode: Write.Mode) {
        self.number = number
        self.field = field
        self.mode = mode
    }
}

/// The live writes of one operation, ascending by number.
///
/// In a record with many operations, nearly each has only one live write. That write is stored without an array, which
/// saves an allocation per operation when the state is read.
package struct LiveWrites: Hashable, Sendable {
    private enum Storage: Hashable {
        case one(LiveWrite)
        /// None, or at least two.
        case list([LiveWrite])
    }

    private var storage: Storage

    package init(_ writes: [LiveWrite]) {
        storage = if writes.count == 1, let write = writes.first { .one(write) } else { .list(writes) }
    }

    package init(_ write: LiveWrite) { storage = .one(write) }

    /// Removes the writes that meet a condition; returns true if there were any. Linear.
    @discardableResult
    package mutating func removeAll(where isUnwanted: (LiveWrite) -> Bool) -> Bool {
        switch storage {
        case .one(let write):
            guard isUnwanted(write) else { return false }
            storage = .list([])
        case .list(let writes):
            let left = writes.filter { !isUnwanted($0) }
            guard left.count < writes.count else { return false }
            self = LiveWrites(left)
        }
        return true
    }
}

extension LiveWrites: RandomAccessCollection {
    package var startIndex: Int { 0 }

    package var endIndex: Int {
        switch storage {
        case .one: 1
        case .list(let writes): writes.count
        }
    }

    package subscript(position: Int) -> LiveWrite {
        switch storage {
        case .one(let write): write
        case .list(let writes): writes[position]
        }
    }
}

/// An operation with its live writes.
package struct LiveOperation: Hashable, Sendable {
    package let dot: Dot
    package let stamp: Stamp
    /// The operation's hash, computed from the hashes of its envelope and content.
    package let hash: Hash256
    /// The operation's location in the storage; local to this node and not part of the canonical state.
    package let location: Int64
    package var writes: LiveWrites

    package init(dot: Dot, stamp: Stamp, hash: Hash256, location: Int64, writes: LiveWrites) {
        self.dot = dot
        self.stamp = stamp
        self.hash = hash
        self.location = location
        self.writes = writes
    }

    package init(dot: Dot, stamp: Stamp, hash: Hash256, location: Int64, writes: [LiveWrite]) {
        self.init(dot: dot, stamp: stamp, hash: hash, location: location, writes: LiveWrites(writes))
    }
}

/// A citation together with the field of the citing write.
package struct Supersession: Hashable, Sendable {
    package let citation: Citation
    /// The field whose writes the citation supersedes; nil for a deletion, which supersedes writes of every field.
    package let field: FieldNumber?

    package init(citation: Citation, field: FieldNumber?) {
        self.citation = citation
        self.field = field
    }

    /// True if the citation supersedes `write` of an operation with `hash`. The caller checks that both operations are
    /// about the same record.
    package func hits(_ write: LiveWrite, of hash: Hash256) -> Bool {
        guard hash.prefix == citation.prefix else { return false }
        if let number = citation.number, number != write.number { return false }
        return field == nil || field == write.field
    }
}

/// The merged state of one record: its live writes. The state is a join-semilattice element under ``insert(_:)`` and
/// ``supersede(_:)``: the same operations give the same state in any order.
///
/// Source: explicit supersession follows the optimized observed-remove set of Bieniusa et al. 2012, with dots as in
/// Almeida, Shoker, Baquero 2018. Deviation: no causal context is kept. An operation names the operations that it
/// supersedes, and a citation stays dangling until its operation arrives. Merging therefore needs no causal delivery.
package struct RecordState: Hashable, Sendable {
    /// Ascending by dot; each operation has at least one live write.
    package private(set) var operations: [LiveOperation]

    package init(operations: [LiveOperation] = []) {
        self.operations = operations
    }

    package var isEmpty: Bool { operations.isEmpty }

    /// True if a deletion's tombstone is live: the record is not shown, found or counted. Linear in the live writes.
    package var isDeleted: Bool {
        operations.contains { $0.writes.contains { $0.field == .tombstone } }
    }

    /// True if the record is deleted, but also has a live write that its deleter had not seen. Linear in the live
    /// writes.
    package var isEditedWhileDeleted: Bool {
        isDeleted && operations.contains { $0.writes.contains { $0.field != .tombstone } }
    }

    /// True if the record is visible: shown, found and counted. Linear in the live writes.
    package var isVisible: Bool {
        var hasIdentity = false
        for operation in operations {
            for write in operation.writes where write.field <= .identity {
                if write.field == .tombstone { return false }
                hasIdentity = true
            }
        }
        return hasIdentity
    }

    /// The first live write of ``FieldPath/identity``, with its operation. All such writes name the kind and local id
    /// from which the record's key is computed.
    package var identityWrite: (operation: LiveOperation, number: UInt32)? {
        for operation in operations {
            if let write = operation.writes.first(where: { $0.field == .identity }) { return (operation, write.number) }
        }
        return nil
    }

    /// The registers that several live writes set; only their values can conflict. A field with a live add is a set and
    /// therefore not included.
    ///
    /// - Complexity: Linear in the live writes, plus sorting them by field.
    package var contestedFields: Set<FieldNumber> {
        guard !hasAscendingFields else { return [] }
        // Each field's number, with the mode in the lowest bit. Sorting is cheaper than a set, since most writes are in
        // ascending order.
        var written: [UInt64] = []
        written.reserveCapacity(operations.count)
        for operation in operations {
            for write in operation.writes where write.field > .identity {
                written.append(UInt64(UInt32(bitPattern: write.field.rawValue)) << 1 | (write.mode == .add ? 1 : 0))
            }
        }
        written.sort()
        var contested: Set<FieldNumber> = []
        var start = written.startIndex
        while start < written.endIndex {
            let field = written[start] >> 1
            var end = start + 1
            while end < written.endIndex, written[end] >> 1 == field { end += 1 }
            // Adds are last among the writes of a field.
            if end - start > 1, written[end - 1] & 1 == 0 {
                contested.insert(FieldNumber(rawValue: Int32(bitPattern: UInt32(field))))
            }
            start = end
        }
        return contested
    }

    /// True if the fields of the live writes ascend, so no field is written twice. This holds for most records: one
    /// import wrote them.
    private var hasAscendingFields: Bool {
        var last = FieldNumber.identity
        for operation in operations {
            for write in operation.writes where write.field > .identity {
                guard write.field > last else { return false }
                last = write.field
            }
        }
        return true
    }

    /// Inserts an operation that the state does not contain. It must not list writes that only remove; an operation
    /// without live writes changes nothing.
    ///
    /// - Complexity: Linear in the number of live operations.
    package mutating func insert(_ operation: LiveOperation) {
        guard !operation.writes.isEmpty else { return }
        operations.insert(operation, at: firstPosition(notBefore: operation.dot))
    }

    /// Inserts several operations that the state does not contain, in ascending order of dots.
    ///
    /// - Complexity: Linear in the number of live operations if none of them is between the new ones, as for the
    ///   operations of one delta. Otherwise that of a sort.
    package mutating func insert(_ arrived: [LiveOperation]) {
        let arrived = arrived.filter { !$0.writes.isEmpty }
        guard let first = arrived.first, let last = arrived.last else { return }
        let position = firstPosition(notBefore: first.dot)
        if position == firstPosition(notBefore: last.dot) {
            operations.insert(contentsOf: arrived, at: position)
        } else {
            operations = (operations + arrived).sorted { $0.dot < $1.dot }
        }
    }

    /// Applies citations of operations that have arrived, in any order. Citations that match no live write change
    /// nothing.
    ///
    /// - Complexity: Linear in the citations, the live operations and the writes of the cited operations. The number of
    ///   citations per operation, which a peer chooses, does not multiply this.
    package mutating func supersede(_ supersessions: [Supersession]) {
        guard !supersessions.isEmpty else { return }
        var byDot: [Dot: [Supersession]] = [:]
        for supersession in supersessions { byDot[supersession.citation.dot, default: []].append(supersession) }
        var isEmptied = false
        for (dot, supersessions) in byDot {
            let position = firstPosition(notBefore: dot)
            guard position < operations.endIndex, operations[position].dot == dot else { continue }
            let targets = Targets(supersessions, of: operations[position].hash)
            // Operations without a change keep sharing their storage with the state before.
            guard operations[position].writes.contains(where: targets.contain) else { continue }
            operations[position].writes.removeAll(where: targets.contain)
            if operations[position].writes.isEmpty { isEmptied = true }
        }
        if isEmptied { operations.removeAll { $0.writes.isEmpty } }
    }

    /// The position of the operation with the dot, or the position at which to insert it. Logarithmic.
    private func firstPosition(notBefore dot: Dot) -> Int {
        var low = operations.startIndex
        var high = operations.endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if operations[middle].dot < dot { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Calls `body` with each operation that is live in this state but not in the other. Linear in both.
    package func forEachOperation(missingIn other: RecordState, _ body: (LiveOperation) throws -> Void) rethrows {
        var position = other.operations.startIndex
        for operation in operations {
            while position < other.operations.endIndex, other.operations[position].dot < operation.dot {
                position += 1
            }
            let isThere = position < other.operations.endIndex && other.operations[position].dot == operation.dot
            if !isThere { try body(operation) }
        }
    }

    /// True if an operation with the dot is live. Logarithmic.
    package func contains(_ dot: Dot) -> Bool {
        let position = firstPosition(notBefore: dot)
        return position < operations.endIndex && operations[position].dot == dot
    }

    /// The writes of one operation that any of several citations supersede; equals ``Supersession/hits(_:of:)`` for
    /// each.
    private struct Targets {
        private var isWhole = false
        private var fields: Set<FieldNumber> = []
        private var numbers: Set<UInt32> = []
        private var numbersOfField: [FieldNumber: Set<UInt32>] = [:]

        init(_ supersessions: [Supersession], of hash: Hash256) {
            for supersession in supersessions where supersession.citation.prefix == hash.prefix {
                switch (supersession.field, supersession.citation.number) {
                case (nil, nil): isWhole = true
                case (nil, let number?): numbers.insert(number)
                case (let field?, nil): fields.insert(field)
                case (let field?, let number?): numbersOfField[field, default: []].insert(number)
                }
            }
        }

        func contain(_ write: LiveWrite) -> Bool {
            isWhole || fields.contains(write.field) || numbers.contains(write.number)
                || numbersOfField[write.field]?.contains(write.number) == true
        }
    }

    /// The hash of the canonical state; nil if no write is live.
    ///
    /// Computed as SHA-256 of "hansa/state\0", the record's id with a length prefix, the number of live operations, and
    /// the operations in ascending order of dots. Each operation contributes author and incarnation, sequence, index,
    /// hash, the number of its live writes and their numbers.
    ///
    /// It does not depend on the contents held, the winner, the clock or the software version. The operation's hash
    /// covers its fields, so they are not repeated.
    ///
    /// - Complexity: Linear in the live writes.
    package func canonicalHash(of record: RecordID, hasher: some CatalogHasher) -> Hash256? {
        guard !operations.isEmpty else { return nil }
        let byteCount = operations.reduce(64) { $0 + 96 + 4 * $1.writes.count }
        var fields = TaggedFields("hansa/state", capacity: byteCount)
        fields.append(record.hash)
        fields.append(UInt32(operations.count))
        fields.append(byteCountMax: byteCount) { bytes in
            for operation in operations {
                bytes.append(operation.dot.log.author.hash)
                bytes.append(operation.dot.log.incarnation)
                bytes.append(operation.dot.sequence)
                bytes.append(operation.dot.index)
                bytes.append(operation.hash)
                bytes.append(UInt32(operation.writes.count))
                for write in operation.writes { bytes.append(write.number) }
            }
        }
        return hasher.hash(fields.bytes)
    }
}
