import Catalog
import Foundation
import Governance
import Simulator
import SwiftProtobuf
import TestSupport
import Testing
import Wire

struct TicketTests {
    private let hasher = RealCryptography()
    private let ticket: Hansa_V0_Ticket = .with {
        $0.alliance = Data(repeating: 1, count: 32)
        $0.allianceName = "Test"
        $0.inviter = Data(repeating: 2, count: 32)
        $0.addresses = ["a.example:7400"]
        $0.oneTimeSeed = Data(repeating: 3, count: 32)
        $0.expires = 1_900_000_000
    }

    @Test func aTextIsReadBackAfterAMailProgramHasWrappedIt() throws {
        let text = try TicketText.encode(ticket, hasher: hasher)
        #expect(text.hasPrefix("hansa1"))
        #expect(text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        #expect(try TicketText.decode(text, hasher: hasher) == ticket)
        let broken = text.enumerated().map { $0.offset % 20 == 19 ? "\($0.element)\r\n " : "\($0.element)" }.joined()
        #expect(try TicketText.decode("\n" + broken, hasher: hasher) == ticket)
    }

    /// A changed text gives no ticket, or the same one: blanks and the last character's spare bits do not matter.
    @Test func aChangedTextIsNeverAnotherTicket() throws {
        let text = try TicketText.encode(ticket, hasher: hasher)
        let characters = Array(text)
        for position in characters.indices {
            for replacement in ["A", "b", "0", "-", "_", "=", " ", "é", "\u{301}", ""] {
                let mutated = String(characters[..<position]) + replacement + String(characters[(position + 1)...])
                if let read = try? TicketText.decode(mutated, hasher: hasher) { #expect(read == ticket) }
            }
            let cut = try? TicketText.decode(String(characters[..<position]), hasher: hasher)
            #expect(cut == nil)
        }
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func randomTextIsNoTicket(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let text = "hansa1" + String(decoding: random.bytes(Int.random(in: 0..<60, using: &random)), as: UTF8.self)
            #expect(throws: TicketText.Failure.self) { try TicketText.decode(text, hasher: hasher) }
        }
        #expect(throws: TicketText.Failure.notATicket) { try TicketText.decode("https://x", hasher: hasher) }
    }

    @Test func partsOfTheWrongSizeAreReportedAsDamage() throws {
        var bad = ticket
        bad.oneTimeSeed = Data(repeating: 3, count: 31)
        let short = try TicketText.encode(bad, hasher: hasher)
        #expect(throws: TicketText.Failure.damaged) { try TicketText.decode(short, hasher: hasher) }
        bad = ticket
        bad.expires = .max
        let late = try TicketText.encode(bad, hasher: hasher)
        #expect(throws: TicketText.Failure.damaged) { try TicketText.decode(late, hasher: hasher) }
    }
}
