import Catalog

// The names that a file's objects have, as the mapper remembers them.

extension JSONMapper {
    enum Role { case fields, key, kind, owner, ext }

    final class Member {
        let name: String
        let nameBytes: [UInt8]
        let role: Role
        let isNameable: Bool
        let targets: [Target]
        let slots: [Int]
        /// The last record that contained the name; used to find duplicate names.
        var lastRecord = -1
        /// The languages of the first target, or the members of `ext`.
        var members: MemberTable?

        init(_ nameBytes: [UInt8], _ name: String, role: Role, targets: [Target], slots: [Int], isNameable: Bool) {
            self.nameBytes = nameBytes
            self.name = name
            self.role = role
            self.targets = targets
            self.slots = slots
            self.isNameable = isNameable
        }

        func isNamed(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
            guard nameBytes.count == bytes.count else { return false }
            return nameBytes.withUnsafeBufferPointer { own in
                for index in 0..<own.count where own[index] != bytes[index] { return false }
                return true
            }
        }
    }

    /// The names of one level of the objects: the top, `ext`, or a text's languages.
    final class MemberTable {
        var members: [Member] = []
        private var positions: [ByteKey: Int] = [:]
        private var expected = 0

        func find(_ name: UnsafeBufferPointer<UInt8>) -> Member? {
            if expected >= members.count { expected = 0 }
            if expected < members.count, members[expected].isNamed(name) {
                expected += 1
                return members[expected - 1]
            }
            guard let position = positions[ByteKey(name)] else { return nil }
            expected = position + 1
            return members[position]
        }

        func insert(_ member: Member) {
            positions[ByteKey(member.name)] = members.count
            members.append(member)
            expected = members.count
        }
    }

    /// The remembered names and paths of one kind.
    final class Plan {
        let kind: String
        let top = MemberTable()
        /// The slot of each known path, and the last record that wrote each slot; used to find fields that are
        /// written twice.
        var slots: [FieldPath: Int] = [:]
        var lastRecords: [Int] = []
        var nameCount = 0
        init(_ kind: String) { self.kind = kind }
    }
}
