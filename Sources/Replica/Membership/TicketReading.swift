import Catalog
import Governance
package import Wire

/// What a ticket's text says.
package struct TicketReading: Sendable {
    /// For ``NodeFolder/join(ticket:organization:settings:protection:in:patience:)``.
    package let ticket: Hansa_V0_Ticket

    /// Reads a ticket; blanks and line breaks in it do not matter.
    ///
    /// - Throws: ``HansaError`` with ``ErrorCode/usage``.
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

extension NodeFolder {
    /// Checks that no node was made in a folder yet, before anything is asked for.
    ///
    /// - Throws: ``HansaError`` with ``ErrorCode/inUse``.
    package static func requireEmpty(_ folder: DataFolder) throws {
        guard !folder.exists else {
            throw HansaError(.inUse, "\(folder.path) holds a node already; name another folder with --data")
        }
    }

    /// Checks that there is a node in a folder.
    ///
    /// - Throws: ``HansaError`` with ``ErrorCode/usage``.
    package static func requireNode(_ folder: DataFolder) throws {
        guard folder.exists else {
            throw HansaError(
                .usage,
                "there is no node in \(folder.path); found an alliance with 'hansa init' or join one with 'hansa join'"
            )
        }
    }
}
