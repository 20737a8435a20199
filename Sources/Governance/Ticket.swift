package import Catalog
import Foundation
import SwiftProtobuf
package import Wire

/// An invitation as text: "hansa1", then base64url of a Ticket message with a 4-byte checksum.
package enum TicketText {
    /// The reason why a text is not a valid ticket.
    package enum Failure: Error, Hashable, Sendable {
        case notATicket
        /// The text is incomplete, or a character was changed.
        case damaged
    }

    private static let start = "hansa1"
    /// The end of the year 9999 in Unix seconds. This limit prevents overflow in calculations with a ticket's expiry.
    private static let expiryMax: UInt64 = 253_402_300_799

    /// Encodes a ticket without line breaks. Throws the encoder's error.
    package static func encode(_ ticket: Hansa_V0_Ticket, hasher: some CatalogHasher) throws -> String {
        let bytes: [UInt8] = try ticket.serializedBytes()
        let text = Data(bytes + checksum(bytes, hasher: hasher)).base64EncodedString()
        return start
            + text.map { character -> String in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": ""
                default: String(character)
                }
            }.joined()
    }

    /// Decodes a ticket and ignores all white space, since mail programs insert line breaks.
    package static func decode(
        _ text: String,
        hasher: some CatalogHasher
    ) throws(Failure) -> Hansa_V0_Ticket {
        let compact = text.filter { !$0.isWhitespace }
        guard compact.hasPrefix(start) else { throw .notATicket }
        var base64 = compact.dropFirst(start.count).map { character -> Character in
            switch character {
            case "-": "+"
            case "_": "/"
            default: character
            }
        }
        while !base64.count.isMultiple(of: 4) { base64.append("=") }
        guard let data = Data(base64Encoded: String(base64)), data.count > 4 else { throw .damaged }
        let bytes = Array(data.dropLast(4))
        guard Array(data.suffix(4)) == checksum(bytes, hasher: hasher),
            let ticket = try? Hansa_V0_Ticket(serializedBytes: bytes), ticket.alliance.count == 32,
            ticket.inviter.count == 32, ticket.oneTimeSeed.count == 32, ticket.expires <= expiryMax
        else { throw .damaged }
        return ticket
    }

    /// The first 4 bytes of SHA-256 of "hansa/ticket\0" and the bytes with a length prefix.
    private static func checksum(_ bytes: [UInt8], hasher: some CatalogHasher) -> [UInt8] {
        var fields = TaggedFields("hansa/ticket")
        fields.append(bytes)
        return Array(hasher.hash(fields.bytes).bytes.prefix(4))
    }
}
