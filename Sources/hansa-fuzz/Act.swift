import ArgumentParser
import Gossip

/// The acts of a hostile peer in a step, other than sending a message of one kind.
enum Act: String, CaseIterable {
    case connect
    case disconnect
    /// Changes bytes of a frame before it is sent.
    case mutate
    /// Signs a delta that other messages may contain.
    case sign
    /// Signs a statement or an announcement.
    case state
    /// Restarts an honest node.
    case restart

    static let names = allCases.map(\.rawValue).joined(separator: ", ")

    /// True for the name of an act or of a kind of message.
    static func isName(_ name: String) -> Bool {
        Act(rawValue: name) != nil || PeerMessage.Kind.allCases.contains { $0.name == name }
    }
}

/// A deliberate bug that a run must find, to show that the checks work.
enum Plant: String, CaseIterable, ExpressibleByArgument {
    /// A node traps in the middle of the run.
    case trap
    /// A node ignores the other honest nodes from the middle of the run on.
    case deaf
    /// Each run leaks memory.
    case hoard

    static let names = allCases.map(\.rawValue).joined(separator: ", ")
}
