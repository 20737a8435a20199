package import Catalog
import Gossip
package import Governance
package import Replica
import SwiftProtobuf
import Wire

/// Reads the inviting node's answer for a newcomer, frame by frame. It does not trust the inviting node: it checks every
/// signature and omits everything that does not verify.
package struct JoinAnswerIntake: Sendable {
    /// The most bytes of frames that are read; the first sessions bring the rest.
    package static let bytesMax = 64 * 1024 * 1024
    /// The most frames that are read; the first sessions bring the rest.
    package static let framesMax = 4096

    /// The most elements of one frame that are decoded, since a decoded element takes far more room than its bytes. A frame
    /// of 4 MiB with valid statements has fewer.
    package static let elementsMax = 32_768

    private let alliance: AllianceID
    private let cryptography: SystemCryptography
    private var charter: Charter?
    private var statements: [Statement] = []
    private var announcements = AnnouncementSet()
    private var byteCount = 0
    private var frameCount = 0

    /// Creates an intake that has read nothing yet.
    package init(alliance: AllianceID, cryptography: SystemCryptography) {
        self.alliance = alliance
        self.cryptography = cryptography
    }

    /// Reads the next frame. Returns true for the last one.
    ///
    /// - Throws: ``Failure`` if the inviting node refuses, or the frame is no answer.
    package mutating func take(_ frame: [UInt8]) throws -> Bool {
        guard let elements = try? PeerMessage.countElements(frame), elements <= Self.elementsMax,
            let decoded = try? Hansa_V0_Frame(serializedBytes: frame), case .joinAnswer(let answer) = decoded.message
        else {
            throw Failure(.badAnswer, "the inviting node answered with something else; is it of this version?")
        }
        guard answer.refused == 0 else { throw Failure(.joinRefused, answer.reason) }
        if frameCount == 0 {
            guard let charter = Charter(answer.charter), charter.alliance(cryptography) == alliance else {
                throw Failure(
                    .wrongAlliance,
                    "the inviting node showed the charter of another alliance than the ticket's"
                )
            }
            self.charter = charter
        }
        frameCount += 1
        byteCount += frame.count
        for signed in answer.statements {
            guard let bytes: [UInt8] = try? signed.serializedBytes(),
                let statement = try? Statement(verifying: bytes, alliance: alliance, cryptography: cryptography)
            else { continue }
            statements.append(statement)
        }
        for signed in answer.announcements {
            guard let bytes: [UInt8] = try? signed.serializedBytes(),
                let announcement = try? Announcement(verifying: bytes, alliance: alliance, cryptography: cryptography)
            else { continue }
            _ = announcements.insert(announcement)
        }
        return !answer.more || byteCount >= Self.bytesMax || frameCount >= Self.framesMax
    }

    /// The first contents of the newcomer's folder.
    ///
    /// - Parameter own: The newcomer's announcements.
    /// - Throws: ``Failure`` if no frame was read.
    package func contents(organization: OrganizationID, node: NodeKey, own: [Announcement]) throws
        -> NodeFolder.Contents
    {
        guard let charter else { throw Failure(.inviterUnreachable, "the inviting node has not answered") }
        var announcements = announcements
        for announcement in own { _ = announcements.insert(announcement) }
        return NodeFolder.Contents(
            charter: charter,
            organization: organization,
            node: node,
            statements: statements,
            announcements: announcements.sorted
        )
    }
}
