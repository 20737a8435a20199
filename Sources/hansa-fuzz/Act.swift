import ArgumentParser
import Gossip

/// What a hostile peer can do in a step beside sending a message of one kind.
enum Act: String, CaseIterable {
    case connect
    case disconnect
    /// Bytes of a frame are changed before it is sent.
    case mutate
    /// A delta is signed that other messages may carry.
    case sign
    /// A statement or an announcement is signed.
    case state
    /// An honest node stops and starts again.
    case restart

    static let names = allCases.map(\.rawValue).joined(separator: ", ")

    /// True for the name of an act, and of a kind of message.
    static func isName(_ name: String) -> Bool {
        Act(rawValue: name) != nil || PeerMessage.Kind.allCases.contains { $0.name == name }
    }
}

/// A mistake that a run is to find: so that what it looks for is known to be looked for.
enum Plant: String, CaseIterable, ExpressibleByArgument {
    /// A node traps in the midst of the run.
    case trap
    /// A node hears nothing of the other honest ones any more.
    case deaf
    /// Each run leaves memory behind.
    case hoard

    static let names = allCases.map(\.rawValue).joined(separator: ", ")
}
