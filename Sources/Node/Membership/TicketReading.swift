import Catalog
import DeltaLog
package import Wire

/// What a ticket's text says.
package struct TicketReading: Sendable {
    /// For ``NodeFolder/join(ticket:organization:settings:protection:in:patience:)``.
    package let ticket: Hansa_V0_Ticket

    /// Reads a ticket; blanks and line breaks in it do not matter.
    ///
    /// - Throws: ``HansaError`` with ``ExitCode/usage``.
    package init(_ text: String) throws {
        do throws(TicketText.Failure) {
            ticket = try TicketText.decode(text, hasher: SystemCryptography())
        } catch {
            switch error {
            case .notATicket: throw HansaError(.usage, "this is no ticket; a ticket begins with hansa1")
            case .damaged:
                throw HansaError(.usage, "the ticket is damaged; copy it again, from hansa1 to its last character")
            }
        }
    }

    /// True for a further node of the inviter's own organization.
    package var isForOwnNode: Bool { ticket.hasVoucher }
    /// The alliance's name.
    package var allianceName: String { ticket.allianceName }
}
