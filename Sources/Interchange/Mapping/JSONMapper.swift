internal import Catalog

/// Maps JSON objects to rows.
///
/// The mapper looks up each name once and remembers it. It expects names in their earlier order, so a file of similar
/// lines costs one comparison of bytes per member.
final class JSONMapper {
    /// The maximum number of remembered names. A file with more names is read correctly but more slowly.
    private static let namesMax = 8192

    private let options: ImportOptions
    private var plan: Plan?
    private var fieldCount = 8
    /// The current record's number, and a serial that is unique for each call: blank records have no number.
    private var recordNumber = 0
    private var serial = 0
    private var scratch: [UInt8] = []

    init(options: ImportOptions) {
        self.options = options
    }

    /// Maps one object to a row.
    ///
    /// - Parameters:
    ///   - text: all bytes of the record.
    ///   - line: the line on which the record starts.
    ///   - record: the record's number, for messages.
    func row(_ text: UnsafeBufferPointer<UInt8>, line: Int, record: Int, keys: inout KeyIndex) -> MappedRow {
        recordNumber = record
        serial += 1
        let mapped = mapped(text, line: line, record: serial, keys: &keys)
        switch mapped {
        case .problem(let problem) where [.keyMissing, .keyEmpty, .kindMissing].contains(problem.code):
            return isBlank(text) ? .blank : mapped
        default: return mapped
        }
    }

    /// True for an object without content: it has no members, or only nulls, blank texts, empty arrays and empty
    /// objects.
    private func isBlank(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let base = text.baseAddress else { return false }
        var scanner = JSONScanner(base, from: 0, to: text.count)
        var isBlank = true
        do throws(JSONProblem) {
            try scanner.readObject { (scanner, _) throws(JSONProblem) in
                switch try JSONValue.read(&scanner) {
                case nil, .json("{}"), .json("[]"): break
                case .text(let text) where VisibleText.isBlank(text): break
                default: isBlank = false
                }
            }
        } catch {
            return false
        }
        return isBlank
    }

    private func mapped(
        _ text: UnsafeBufferPointer<UInt8>,
        line: Int,
        record: Int,
        keys: inout KeyIndex
    ) -> MappedRow {
        guard let base = text.baseAddress else { return .problem(RowProblem(code: .badJSON, offset: 0, text: "empty")) }
        let isValid = isUTF8(text)
        do throws(JSONProblem) {
            var kind = options.kind
            if kind == nil {
                guard let said = try findKind(base, text.count, isValid), !said.isEmpty else {
                    return .problem(
                        RowProblem(
                            code: .kindMissing,
                            offset: 0,
                            field: "kind",
                            text: "no kind was given, and the row has none"
                        )
                    )
                }
                kind = said
            }
            return try read(base, text.count, isValid, kind: kind ?? "", line: line, record: record, keys: &keys)
        } catch {
            let code: RejectCode =
                switch error.kind {
                case .bad, .endOfText: .badJSON
                case .notAnObject: .notAnObject
                case .badEncoding: .badEncoding
                }
            return .problem(RowProblem(code: code, offset: error.offset, text: error.reason))
        }
    }

    /// The text of the member `kind`, for files with several kinds.
    private func findKind(
        _ base: UnsafePointer<UInt8>,
        _ count: Int,
        _ isValid: Bool
    ) throws(JSONProblem) -> String? {
        guard options.map.isExport else { return nil }
        var scanner = JSONScanner(base, from: 0, to: count, isValid: isValid)
        guard try open(&scanner) else { return nil }
        while true {
            let name = try scanner.scanName()
            if try scanner.text(of: name).hasSameBytes(as: "kind"), scanner.peek() == UInt8(ascii: "\"") {
                let value = try scanner.scanString()
                return try scanner.text(of: value)
            }
            scratch.removeAll(keepingCapacity: true)
            try scanner.scanCompact(into: &scratch)
            guard try goesOn(&scanner) else { return nil }
        }
    }

    /// Consumes the opening brace; false for an object without members.
    private func open(_ scanner: inout JSONScanner) throws(JSONProblem) -> Bool {
        guard scanner.peek() == UInt8(ascii: "{") else {
            let start = scanner.index
            scratch.removeAll(keepingCapacity: true)
            try scanner.scanCompact(into: &scratch)
            throw scanner.problem("a JSON value, but no object", kind: .notAnObject, at: start)
        }
        scanner.index += 1
        guard scanner.peek() != UInt8(ascii: "}") else {
            scanner.index += 1
            return false
        }
        return true
    }

    /// Consumes the punctuation after a member; true for a comma.
    @inline(__always)
    private func goesOn(_ scanner: inout JSONScanner) throws(JSONProblem) -> Bool {
        let next = scanner.peek()
        guard next == UInt8(ascii: ",") || next == UInt8(ascii: "}") else {
            throw scanner.problem("expected a comma or }")
        }
        scanner.index += 1
        return next == UInt8(ascii: ",")
    }

    private func settledPlan(_ kind: String) -> Plan {
        if let plan, options.kind != nil || plan.kind.hasSameBytes(as: kind), plan.nameCount <= Self.namesMax {
            return plan
        }
        let plan = Plan(kind)
        self.plan = plan
        return plan
    }

    private func read(
        _ base: UnsafePointer<UInt8>,
        _ count: Int,
        _ isValid: Bool,
        kind: String,
        line: Int,
        record: Int,
        keys: inout KeyIndex
    ) throws(JSONProblem) -> MappedRow {
        var scanner = JSONScanner(base, from: 0, to: count, isValid: isValid)
        let plan = settledPlan(kind)
        var builder = RowBuilder(capacity: fieldCount)
        var key: RowKey?
        var owner: String?
        if try open(&scanner) {
            repeat {
                let name = try scanner.scanName()
                let member = try member(of: plan.top, name, &scanner, record: record) { nameBytes, name in
                    self.topMember(nameBytes, name, plan: plan)
                }
                let offset = name.start - 1
                switch member.role {
                case .fields:
                    try readFields(member, plan, &scanner, offset: offset, record: record, &builder)
                case .key:
                    key = try readKey(member, scanner, offset: offset, &builder)
                    try readFields(member, plan, &scanner, offset: offset, record: record, &builder)
                case .kind:
                    let said = try readText(&scanner, member, offset: offset, &builder)
                    var asked: String? = kind
                    let rowKey = RowKey(localID: "", column: "", offset: 0)
                    if let problem = rowKey.settleKind(&asked, said: said ?? "", offset: offset) {
                        builder.reject(problem)
                    }
                case .owner:
                    owner = try readText(&scanner, member, offset: offset, &builder)
                case .ext:
                    try readExt(member, plan, &scanner, offset: offset, record: record, &builder)
                }
            } while try goesOn(&scanner)
        }
        if scanner.peek() != 0 || scanner.index < count { throw scanner.problem("unexpected text after the object") }
        fieldCount = max(8, builder.fields.count)
        guard let key else {
            return .problem(
                builder.problem
                    ?? RowProblem(
                        code: .keyMissing,
                        offset: 0,
                        text: "there is no key '\(options.map.keyColumn)'; the members are: \(present(plan, record))"
                    )
            )
        }
        if let problem = builder.problem, problem.code == .keyNotText { return .problem(problem) }
        if let problem = key.check(kind: kind, line: line, keys: &keys) { return .problem(problem) }
        return builder.finish(key, line: line, record: recordNumber, kind: kind, owner: owner)
    }

    private func present(_ plan: Plan, _ record: Int) -> String {
        let names = plan.top.members.lazy.filter { $0.lastRecord == record }.map { Reject.shortened($0.name) }
        return names.prefix(40).joined(separator: ", ")
    }

    private func member(
        of table: MemberTable,
        _ range: JSONScanner.NameRange,
        _ scanner: inout JSONScanner,
        record: Int,
        make: ([UInt8], String) -> Member
    ) throws(JSONProblem) -> Member {
        let raw = UnsafeBufferPointer(start: scanner.base + range.start, count: range.end - range.start)
        var found: Member?
        if range.isEscaped {
            found = scanner.unescaped(range).withUnsafeBufferPointer { table.find($0) }
        } else {
            found = table.find(raw)
        }
        if found == nil {
            let name = try scanner.text(of: range)
            let made = make(Array(name.utf8), name)
            table.insert(made)
            found = made
        }
        // It was found or has just been inserted.
        let member = found!
        guard member.lastRecord != record else {
            throw scanner.problem("a name occurs twice in one object", at: range.start)
        }
        member.lastRecord = record
        return member
    }

    private func topMember(_ nameBytes: [UInt8], _ name: String, plan: Plan) -> Member {
        let map = options.map
        let fields = map.fields(fedBy: name, kind: plan.kind)
        let isMapped = map.pairs.contains { $0.column.hasSameBytes(as: name) }
        let role: Role =
            if name.hasSameBytes(as: map.keyColumn) {
                .key
            } else if isMapped {
                .fields
            } else if name == "ext" {
                .ext
            } else if map.isExport, name == "kind" {
                .kind
            } else if map.isExport, name == "owner" {
                .owner
            } else {
                .fields
            }
        let isNameable = !fields.isEmpty || role != .fields || name.hasPrefix("_")
        return make(nameBytes, name, role: role, fields.map { Target($0) }, plan, isNameable: isNameable)
    }

    private func make(
        _ nameBytes: [UInt8],
        _ name: String,
        role: Role,
        _ targets: [Target],
        _ plan: Plan,
        isNameable: Bool
    ) -> Member {
        plan.nameCount += 1
        let slots = targets.map { target -> Int in
            if let slot = plan.slots[target.path] { return slot }
            plan.slots[target.path] = plan.lastRecords.count
            plan.lastRecords.append(-1)
            return plan.lastRecords.count - 1
        }
        return Member(nameBytes, name, role: role, targets: targets, slots: slots, isNameable: isNameable)
    }

    private func readKey(
        _ member: Member,
        _ scanner: JSONScanner,
        offset: Int,
        _ builder: inout RowBuilder
    ) throws(JSONProblem) -> RowKey {
        var scanner = scanner
        let value = try JSONValue.read(&scanner)
        let localID: String
        switch value {
        case nil: localID = ""
        case .text(let text), .decimal(let text): localID = text
        case .integer(let number): localID = String(number)
        default:
            localID = ""
            builder.reject(
                RowProblem(
                    code: .keyNotText,
                    offset: offset,
                    field: member.name,
                    text: "a key is text or a number",
                    value: value?.displayText
                )
            )
        }
        return RowKey(localID: localID, column: member.name, offset: offset)
    }

    private func readText(
        _ scanner: inout JSONScanner,
        _ member: Member,
        offset: Int,
        _ builder: inout RowBuilder
    ) throws(JSONProblem) -> String? {
        switch try JSONValue.read(&scanner) {
        case .text(let text): return text
        case nil: return nil
        case let other?:
            builder.reject(
                RowProblem(
                    code: .badField,
                    offset: offset,
                    field: member.name,
                    text: "must be text",
                    value: other.displayText
                )
            )
            return nil
        }
    }

    /// Reads a member's value for each field that it feeds; skips the value if there is none.
    private func readFields(
        _ member: Member,
        _ plan: Plan,
        _ scanner: inout JSONScanner,
        offset: Int,
        record: Int,
        _ builder: inout RowBuilder
    ) throws(JSONProblem) {
        guard !member.targets.isEmpty else {
            scratch.removeAll(keepingCapacity: true)
            try scanner.scanCompact(into: &scratch)
            if !member.isNameable { builder.reject(RowProblem.unnameable(member.name, offset)) }
            return
        }
        let start = scanner.index
        for position in member.targets.indices {
            scanner.index = start
            let target = member.targets[position]
            if target.isLanguageMap, scanner.peek() == UInt8(ascii: "{") {
                try readLanguages(member, target, plan, &scanner, record: record, &builder)
            } else {
                try readTarget(target, member.slots[position], member.name, plan, &scanner, offset, record, &builder)
            }
        }
    }

    private func readTarget(
        _ target: Target,
        _ slot: Int,
        _ name: @autoclosure () -> String,
        _ plan: Plan,
        _ scanner: inout JSONScanner,
        _ offset: Int,
        _ record: Int,
        _ builder: inout RowBuilder
    ) throws(JSONProblem) {
        let input = try JSONValue.readInput(&scanner, isSet: target.isSet)
        if plan.lastRecords[slot] == record {
            let field = name()
            builder.reject(RowProblem.repeated(target.path, offset, field: field))
        } else {
            plan.lastRecords[slot] = record
            builder.add(target, input, offset: offset, column: name())
        }
    }

    /// Reads `{"zh":…,"en":…}` into one register for each language.
    private func readLanguages(
        _ member: Member,
        _ target: Target,
        _ plan: Plan,
        _ scanner: inout JSONScanner,
        record: Int,
        _ builder: inout RowBuilder
    ) throws(JSONProblem) {
        let base = String(target.path.base)
        // The member keeps a table for its first target only; further targets each use a new table.
        let isFirst = member.targets.first?.path == target.path
        let table = isFirst ? member.members ?? MemberTable() : MemberTable()
        if isFirst { member.members = table }
        try readMembers(table, &scanner, record: record, plan, &builder, "\(member.name).") { language in
            FieldPath("\(base)/\(language)")
        }
    }

    private func readExt(
        _ member: Member,
        _ plan: Plan,
        _ scanner: inout JSONScanner,
        offset: Int,
        record: Int,
        _ builder: inout RowBuilder
    ) throws(JSONProblem) {
        guard scanner.peek() == UInt8(ascii: "{") else {
            try readFields(member, plan, &scanner, offset: offset, record: record, &builder)
            return
        }
        let table = member.members ?? MemberTable()
        member.members = table
        try readMembers(table, &scanner, record: record, plan, &builder, "ext/") { FieldPath("ext/\($0)") }
    }

    /// Reads an object whose members are fields.
    private func readMembers(
        _ table: MemberTable,
        _ scanner: inout JSONScanner,
        record: Int,
        _ plan: Plan,
        _ builder: inout RowBuilder,
        _ prefix: String,
        path: (String) -> FieldPath?
    ) throws(JSONProblem) {
        guard try open(&scanner) else { return }
        repeat {
            let name = try scanner.scanName()
            let member = try member(of: table, name, &scanner, record: record) { nameBytes, name in
                let path = path(name)
                return self.make(
                    nameBytes,
                    name,
                    role: .fields,
                    path.map { [Target($0)] } ?? [],
                    plan,
                    isNameable: path != nil
                )
            }
            if let target = member.targets.first {
                try readTarget(
                    target,
                    member.slots[0],
                    prefix + member.name,
                    plan,
                    &scanner,
                    name.start - 1,
                    record,
                    &builder
                )
            } else {
                scratch.removeAll(keepingCapacity: true)
                try scanner.scanCompact(into: &scratch)
                builder.reject(RowProblem.unnameable(prefix + member.name, name.start - 1))
            }
        } while try goesOn(&scanner)
    }
}
