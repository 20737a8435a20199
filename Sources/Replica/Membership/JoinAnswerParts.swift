import Catalog
package import Governance
import SwiftProtobuf
import Wire

/// The answer to an admitted newcomer, cut into frames.
///
/// The order is: statements about membership, announcements, fork proofs. Fork proofs are long, and a session brings them
/// too, so a newcomer that stops at its byte limit has what it needs. A frame has at most some 256 KiB, or one statement
/// (96 KiB at most); the first one also has the charter.
package struct JoinAnswerParts: Sequence, IteratorProtocol, Sendable {
    private static let bytesMax = 256 * 1024
    /// Entries of a frame. A decoded entry takes far more room than its bytes.
    private static let countMax = 4096

    private enum Entry: Sendable {
        case statement([UInt8])
        case announcement([UInt8])

        var byteCount: Int {
            switch self {
            case .statement(let bytes), .announcement(let bytes): bytes.count + 8
            }
        }
    }

    private var entries: ArraySlice<Entry>
    private var charter: Charter?

    /// - Parameters:
    ///   - statements: The bytes of SignedStatement messages.
    ///   - announcements: The bytes of SignedAnnouncement messages.
    package init(charter: Charter, statements: [[UInt8]], announcements: [[UInt8]]) {
        self.charter = charter
        // A fork proof has no signer.
        let isProof = { (bytes: [UInt8]) in
            (try? Hansa_V0_SignedStatement(serializedBytes: bytes))?.signer.isEmpty ?? true
        }
        let marked = statements.map { (isProof: isProof($0), entry: Entry.statement($0)) }
        entries =
            (marked.filter { !$0.isProof }.map(\.entry) + announcements.map { .announcement($0) }
            + marked.filter(\.isProof).map(\.entry))[...]
    }

    /// The next frame's bytes; nil after the last.
    package mutating func next() -> [UInt8]? {
        guard charter != nil || !entries.isEmpty else { return nil }
        var answer = Hansa_V0_JoinAnswer()
        if let charter { answer.charter = charter.message }
        charter = nil
        var byteCount = 0
        var count = 0
        while let entry = entries.first, count < Self.countMax,
            count == 0 || byteCount + entry.byteCount <= Self.bytesMax
        {
            _ = entries.popFirst()
            count += 1
            byteCount += entry.byteCount
            switch entry {
            case .statement(let bytes):
                if let signed = try? Hansa_V0_SignedStatement(serializedBytes: bytes) {
                    answer.statements.append(signed)
                }
            case .announcement(let bytes):
                if let signed = try? Hansa_V0_SignedAnnouncement(serializedBytes: bytes) {
                    answer.announcements.append(signed)
                }
            }
        }
        answer.more = !entries.isEmpty
        return Self.frame(answer)
    }

    /// The only frame of a refusal.
    package static func refusal(_ failure: Failure) -> [UInt8] {
        var answer = Hansa_V0_JoinAnswer()
        answer.refused = number(of: failure.reason)
        answer.reason = failure.message
        return frame(answer)
    }

    /// The number of a reason in an answer, which has no room for slugs. Newcomers distinguish only 0 from the others.
    private static func number(of reason: Reason) -> UInt32 {
        switch reason {
        case .internal: 5
        case .diskFull, .diskRefused, .diskFailed: 6
        case .dataDamaged, .olderFormat, .newerFormat: 7
        case .databaseLocked, .rebuildPending: 8
        default: 4
        }
    }

    private static func frame(_ answer: Hansa_V0_JoinAnswer) -> [UInt8] {
        var frame = Hansa_V0_Frame()
        frame.joinAnswer = answer
        // Serializing fails only for required fields and broken Any messages, of which proto3 here has none.
        return (try? frame.serializedBytes()) ?? []
    }
}
