import Governance
import Replica
import Wire

/// Manually altered tickets.
package enum TestTicket {
    /// The ticket with different addresses.
    package static func with(addresses: [String], _ text: String) throws -> String {
        let cryptography = SystemCryptography()
        var ticket = try TicketText.decode(text, hasher: cryptography)
        ticket.addresses = addresses
        return try TicketText.encode(ticket, hasher: cryptography)
    }
}
