/// The name, access and shape of a command. A pure value: the table of commands is built from these.
package struct Endpoint: Hashable, Sendable {
    /// The form of a command's request and answer, and the place where it runs.
    package enum Shape: String, CaseIterable, Sendable {
        /// One answer that takes at most some hundred microseconds, its encoding included, not counting waits in the
        /// directory's queues. It runs where requests are read; a longer command would delay other requests there.
        case brief
        /// One answer.
        case ordinary
        /// A stream of elements.
        case stream
        /// A stream of elements; the request has a file as its body.
        case upload
    }

    /// The command's name on the socket; unique and stable.
    package let operation: String
    /// The access that a caller needs.
    package let access: Access
    package let shape: Shape

    /// An endpoint; ordinary unless another shape is given.
    package init(_ operation: String, _ access: Access, _ shape: Shape = .ordinary) {
        self.operation = operation
        self.access = access
        self.shape = shape
    }
}

/// The access levels of callers. Each level includes those before it.
package enum Access: Int, CaseIterable, Comparable, Sendable {
    /// Commands for callers without an identity.
    case open
    /// Read the state of the node and its peers.
    case monitor
    /// Read records, their history and the members.
    case reader
    /// Write the organization's own records.
    case editor
    /// Administer the node: invite, verify, rebuild.
    case admin
    /// Everything above, and name folders of the node's machine.
    case machine

    package static func < (left: Access, right: Access) -> Bool { left.rawValue < right.rawValue }
}
