import Catalog
import Governance
package import Wire

/// The contents of a ticket's text.
package struct TicketReading: Sendable {
    /// The argument of ``NodeFolder/join(ticket:organization:settings:protection:in:patience:)``.
    package let ticket: Hansa_V0_Ticket

    /// Reads a ticket; ignores blanks and line breaks in it.
    ///
    /// - Throws: ``Failure``: ``Reason/notATicket``, ``Reason/ticketDamaged``.
    package init(_ text: String) throws {
        do throws(TicketText.Failure) {
            ticket = try TicketText.decode(text, hasher: SystemCryptography())
        } catch {
            switch error {
            case .notATicket: throw Failure(.notATicket, "this is no ticket; a ticket begins with hansa1")
            case .damaged:
                throw Failure(.ticketDamaged, "the ticket is damaged; copy it again, from hansa1 to its last character")
            }
        }
    }

    /// Checks that an organization is named if and only if the ticket is for a new one.
    ///
    /// - Throws: ``Failure`` with ``Reason/wrongTicketKind``.
    package static func check(_ ticket: Hansa_V0_Ticket, namesOrganization: Bool) throws {
        guard ticket.hasVoucher == namesOrganization else { return }
        throw ticket.hasVoucher
            ? Failure(
                .wrongTicketKind,
                "this ticket is for a further node of the inviter's own organization",
                fix: .omitOrganization
            ) : Failure(.wrongTicketKind, "this ticket is for a new organization", fix: .nameOrganization)
    }

    /// True for a further node of the inviter's own organization.
    package var isForOwnNode: Bool { ticket.hasVoucher }
    /// The alliance's name.
    package var allianceName: String { ticket.allianceName }
}

extension NodeFolder {
    /// Checks that a folder holds no node yet, before the user is asked for anything.
    ///
    /// - Throws: ``Failure`` with ``Reason/nodeHereAlready``.
    package static func requireEmpty(_ folder: DataFolder) throws {
        guard !folder.exists else {
            throw Failure(.nodeHereAlready, "\(folder.path) holds a node already", fix: .nameAnotherFolder)
        }
    }

    /// Checks that a folder holds a node.
    ///
    /// - Throws: ``Failure`` with ``Reason/noNodeHere``.
    package static func requireNode(_ folder: DataFolder) throws {
        guard folder.exists else {
            throw Failure(.noNodeHere, "there is no node in \(folder.path)", fix: .foundOrJoin)
        }
    }
}
