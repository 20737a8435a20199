package import Catalog
package import DeltaLog
package import Simulator

// Values, paths and drafts generated from a seed.

extension Value {
    /// Any kind of value that a user may write, including texts that Swift considers equal although their bytes differ.
    package static func random(using generator: inout SplitMix64) -> Value {
        let texts = [
            "", "a", "é", "e\u{301}", "K", "\u{212A}", "测试", "line\nbreak", String(repeating: "x", count: 130),
        ]
        let text = texts.randomElement(using: &generator) ?? ""
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: return .text(text)
        case 1: return .integer([0, 1, -1, .max, .min, 300].randomElement(using: &generator) ?? 0)
        case 2: return .decimal("1.50")
        case 3: return .boolean(Bool.random(using: &generator))
        case 4: return .json("[1,\"\(text.count)\"]")
        default: return .bytes(generator.bytes(Int.random(in: 0..<5, using: &generator)))
        }
    }
}

extension LogID {
    package static func random(using generator: inout SplitMix64) -> LogID {
        LogID(author: NodeKey(.random(using: &generator)), incarnation: generator.next())
    }
}

extension Hash256 {
    package static func random(using generator: inout SplitMix64) -> Hash256 {
        Hash256(generator.next(), generator.next(), generator.next(), generator.next())
    }
}

extension Header {
    /// Any header that the format allows.
    package static func random(using generator: inout SplitMix64) -> Header {
        let sequences: [UInt64] = [1, 2, 127, 128, sequenceMax]
        let counts: [UInt32] = [0, 1, 4096, .max]
        let sequence = sequences[Int.random(in: 0..<5, using: &generator)]
        let hasImport = Bool.random(using: &generator)
        let mark = ImportMark(id: generator.bytes(16), fileHash: .random(using: &generator), part: 300)
        return Header(
            alliance: AllianceID(.random(using: &generator)),
            log: LogID(
                author: NodeKey(.random(using: &generator)),
                incarnation: Bool.random(using: &generator) ? 0 : generator.next()
            ),
            sequence: sequence,
            previous: sequence == 1 ? nil : .random(using: &generator),
            root: .random(using: &generator),
            count: counts[Int.random(in: 0..<4, using: &generator)],
            stamp: Stamp(rawValue: Bool.random(using: &generator) ? 0 : generator.next()),
            importMark: hasImport ? mark : nil,
            cited: (0..<Int.random(in: 0..<4, using: &generator)).map { _ in .random(using: &generator) },
            organization: OrganizationID(.random(using: &generator)),
            fields: .random(using: &generator)
        )
    }
}

extension FieldList {
    /// Some of the paths of ``Envelope/random(in:using:)``, and others.
    fileprivate static func random(using generator: inout SplitMix64) -> FieldList {
        var list = FieldList()
        guard Bool.random(using: &generator) else { return list }
        for path in Envelope.paths + ["a", "description/de"] where Bool.random(using: &generator) {
            _ = list.add(FieldPath(unchecked: path))
        }
        return list
    }
}

extension Citation {
    /// Any citation of one of these logs that the format allows.
    package static func random(of logs: [LogID], using generator: inout SplitMix64) -> Citation {
        let sequences: [UInt64] = [1, 2, 300, Header.sequenceMax]
        let indices: [UInt32] = [0, 1, .max]
        let numbers: [UInt32?] = [nil, 0, 5, .max - 1]
        return Citation(
            dot: Dot(
                log: logs[Int.random(in: 0..<logs.count, using: &generator)],
                sequence: sequences[Int.random(in: 0..<4, using: &generator)],
                index: indices[Int.random(in: 0..<3, using: &generator)]
            ),
            prefix: Bool.random(using: &generator) ? 0 : generator.next(),
            number: numbers[Int.random(in: 0..<4, using: &generator)]
        )
    }
}

extension Envelope {
    fileprivate static let paths = ["name/zh", "tags", "ext/Column é", "@", "e\u{301}"]

    /// Any envelope that the format allows in a delta with this header; not all of them make sense.
    package static func random(in header: Header, using generator: inout SplitMix64) -> Envelope {
        let logs = header.cited + [header.log]
        var kind =
            [Kind.ordinary, .deletion, .unknown(2), .unknown(UInt64(Int32.max))]
            .randomElement(using: &generator) ?? .ordinary
        var writes: [Write] = []
        let count = Int.random(in: 1...4, using: &generator)
        for number in 0..<count {
            let citations = (0..<Int.random(in: 0..<4, using: &generator)).map { _ in
                Citation.random(of: logs, using: &generator)
            }
            let isDeletion = kind == .deletion
            let path = FieldPath(unchecked: paths.randomElement(using: &generator) ?? "a")
            let modes = [Write.Mode.set, .add, .remove]
            writes.append(
                Write(
                    field: isDeletion ? .tombstone : path,
                    mode: isDeletion
                        ? (number == 0 ? .set : .remove) : modes.randomElement(using: &generator) ?? .set,
                    supersedes: citations
                )
            )
        }
        if case .unknown = kind, Bool.random(using: &generator) { kind = .ordinary }
        return Envelope(
            key: RecordKey(.random(using: &generator)),
            owner: Bool.random(using: &generator) ? OrganizationID(.random(using: &generator)) : nil,
            kind: kind,
            writes: writes
        )
    }
}
