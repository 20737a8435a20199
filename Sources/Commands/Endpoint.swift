/// How a command is reached, by whom and in which shape. A pure value: the table of commands is built from these.
package struct Endpoint: Hashable, Sendable {
    /// How a command's request and answer are shaped, and where it runs.
    package enum Shape: String, CaseIterable, Sendable {
        /// One answer, where all but the directory's queues takes some hundred microseconds at most, the encoding of the
        /// answer included. It runs where requests are read; a longer command would hold up others' requests there.
        case brief
        /// One answer.
        case ordinary
        /// A stream of elements.
        case stream
        /// A stream of elements, of a command with a file as its body.
        case upload
    }

    /// The command's name on the socket; unique and stable.
    package let operation: String
    /// What a caller must be allowed.
    package let access: Access
    package let shape: Shape

    /// An endpoint; ordinary unless another shape is given.
    package init(_ operation: String, _ access: Access, _ shape: Shape = .ordinary) {
        self.operation = operation
        self.access = access
        self.shape = shape
    }
}

/// What a caller may do. Each level includes those before it.
package enum Access: Int, CaseIterable, Comparable, Sendable {
    /// Nothing that needs a name.
    case open
    /// See how the node and its peers stand.
    case monitor
    /// Read records, their history and the members.
    case reader
    /// Write the organization's own records.
    case editor
    /// Administer the node: invite, verify, rebuild.
    case admin
    /// All of it, and name folders of the node's machine.
    case machine

    package static func < (left: Access, right: Access) -> Bool { left.rawValue < right.rawValue }
}
