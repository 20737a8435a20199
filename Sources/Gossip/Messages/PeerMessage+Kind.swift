extension PeerMessage {
    /// The kinds of messages, in the order of their declaration. A table by kind has ``count`` slots; ``rawValue`` is
    /// the index.
    package enum Kind: UInt8, CaseIterable, Hashable, Sendable {
        case hello
        case refusal
        case governance
        case announcements
        case ranges
        case want
        case deltas
        case ack
        case have
        case state
        case deltaRefused
        case headersWanted
        case headers
        case diffQuestion
        case diffAnswer
        case neighbour
        case neighbourAnswer
        case leave
        case shuffle
        case shuffleReply
        case push
        case iHave
        case graft
        case prune

        /// The number of kinds.
        package static let count = allCases.count

        /// The name of the case: `hello`, `iHave`.
        package var name: String { "\(self)" }
    }

    /// The kind of the message. Constant time.
    package var kind: Kind {
        switch self {
        case .hello: .hello
        case .refusal: .refusal
        case .governance: .governance
        case .announcements: .announcements
        case .ranges: .ranges
        case .want: .want
        case .deltas: .deltas
        case .ack: .ack
        case .have: .have
        case .state: .state
        case .deltaRefused: .deltaRefused
        case .headersWanted: .headersWanted
        case .headers: .headers
        case .diffQuestion: .diffQuestion
        case .diffAnswer: .diffAnswer
        case .neighbour: .neighbour
        case .neighbourAnswer: .neighbourAnswer
        case .leave: .leave
        case .shuffle: .shuffle
        case .shuffleReply: .shuffleReply
        case .push: .push
        case .iHave: .iHave
        case .graft: .graft
        case .prune: .prune
        }
    }
}
