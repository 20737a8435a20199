/// The engine's bounds and intervals.
package struct EngineSettings: Hashable, Sendable {
    package var overlay = OverlaySettings()
    package var broadcast = BroadcastSettings()
    package var budget = BudgetSettings()

    /// How long a connection may stay silent before its first message. A guess: ten round trips to the far side of
    /// the earth, with room for a busy machine.
    package var helloDeadline: Milliseconds = 10_000
    /// How often each neighbour is told this node's state when nothing changes: also what keeps `last contact` fresh.
    package var heartbeat: Milliseconds = 5_000
    /// How often a neighbour drawn at random is asked for its state, so that whatever push lost is found (Demers et al.
    /// 1987, section 1.3). Half to one and a half times this.
    package var antiEntropy: Milliseconds = 10_000
    /// How often a node that is no neighbour is dialled to compare frontiers, so that no part of the alliance stays by
    /// itself. Half to one and a half times this. A guess: a handshake a minute costs nothing, and of a hundred nodes cut
    /// in halves one finds the other side a second after it can.
    package var nonNeighbour: Milliseconds = 60_000
    /// How long changes are gathered before peers are told of them or of a new state. Longer saves messages during
    /// an import, shorter shows progress sooner.
    package var announceDelay: Milliseconds = 100
    /// How long a neighbour may be silent before another one takes its place: three heartbeats.
    package var suspectAfter: Milliseconds = 15_000
    /// How long a session may go without hearing anything: twelve heartbeats, since a large message on a slow line
    /// holds them up.
    package var silenceMax: Milliseconds = 60_000
    /// How long a session with a node that is no neighbour stays open without a purpose.
    package var idleMax: Milliseconds = 5_000
    /// How long a peer that broke the protocol is not spoken to. A guess: long enough that its trouble costs little.
    package var banTime: Milliseconds = 60_000
    /// Connections with one node at a time, open or not.
    package var linksPerNodeMax = 4
    /// Connections with the nodes of one organization at a time: more than the neighbours in a full mesh and the passing
    /// sessions beside them.
    package var linksPerOrganizationMax = 16
    /// Connections at a time. Each costs some 50 KiB of memory, and an organization gets no more than its share.
    package var linksMax = 128
    /// Nodes that are dialled at a time, beside those that a person waits for.
    package var dialsMax = 16
    /// How long a dial may take, over all of a node's addresses.
    package var dialDeadline: Milliseconds = 10_000
    /// How long at least between two comparisons of frontiers with a peer; doubled while it does not help, up to
    /// `comparePauseMax`.
    package var comparePauseMin: Milliseconds = 1_000
    package var comparePauseMax: Milliseconds = 60_000
    /// The first pause after a dial that failed; doubled up to `dialPauseMax`, each with jitter.
    package var dialPauseMin: Milliseconds = 500
    package var dialPauseMax: Milliseconds = 15_000
    /// How long the node with the greater key leaves dialling to the other, where both would.
    package var dialCourtesy: Milliseconds = 1_000
    /// How long a range of a log that was asked for may make no progress before it is asked from somebody else.
    package var wantDeadline: Milliseconds = 20_000
    /// How long nothing of a range may come before another peer that has a little more of the log is asked too: a peer that
    /// promises what it does not have holds nobody up for longer. A guess: a few round trips to the far side of the earth.
    package var wantLateAfter: Milliseconds = 1_500
    /// How many deltas such a second question may ask for: if both answer, so much comes twice.
    package var lateDeltasMax: UInt64 = 16
    /// The same for a delta that the broadcast has missed: small, and asked of a peer that has just announced it.
    package var graftDeadline: Milliseconds = 3_000
    /// Bytes of deltas that one peer may have under way to this node: asked for and not yet durable, or promised.
    package var creditBytes: UInt64 = 4 * 1024 * 1024
    /// Bytes of deltas in one message, beyond which no further one is added; of statements and headers likewise. At 256
    /// kbit/s such a message takes 8 seconds, well below `wantDeadline`.
    package var messageBytes: UInt64 = 256 * 1024
    /// New deltas of at most this many bytes are pushed; of larger ones only the head is told.
    package var pushBytesMax = 64 * 1024
    /// Bytes pushed to a peer that it has not confirmed, beyond which new heads are only announced to it.
    package var pushWindow = 1024 * 1024
    /// Logs asked from one peer at a time.
    package var wantsPerLinkMax = 64
    /// Stretches that one peer may have waiting here; more ends the connection.
    package var servedWantsMax = 1024
    /// Bytes of deltas waiting to be stored beyond which a push is dropped; anti-entropy brings it later.
    package var storingBytesMax: UInt64 = 32 * 1024 * 1024
    /// Statements and announcements of one organization that this node passes on in a second, and how many it may save up:
    /// the nodes that it enrols at a time. What is beyond waits for `relayPause`. More lets one member have the others
    /// send each other more; less delays an organization that enrols hundreds of nodes.
    package var relaysPerSecond: UInt64 = 4
    package var relaysBurst: UInt64 = 256
    package var relayPause: Milliseconds = 1_000
    /// Announcements kept of nodes that no statement received so far has enrolled; and for each peer, statements that
    /// do not count so far.
    package var orphansMax = 256
    /// How long a log of which a peer sent something refused is not asked of it.
    package var backOffTime: Milliseconds = 60_000
    /// How exactly the end of distrust is kept.
    package var backOffCheck: Milliseconds = 5_000
    /// Refused deltas for which the peer is to blame after which a connection is closed.
    package var refusalsMax = 100
    /// Deltas that could not be taken, with their reasons, that are remembered for people.
    package var parkedMax = 256
    /// Heads in one message.
    package var headsPerMessage = 10_000
    /// Logs remembered of one peer, ahead of this node or behind it. Of those for which there is no room the peer is asked
    /// once the others are here.
    package var headsMax = 20_000
    /// Of them, logs of one author. Each start of a machine may begin one.
    package var headsPerAuthorMax = 256
    /// Of them, logs of one organization's authors together, however many keys it has.
    package var headsPerOrganizationMax = 2_048
    /// Headers compared in one step of a search for a fork.
    package var headersPerInquiry: UInt64 = 256
    /// Searches for forks under way with one peer.
    package var inquiriesMax = 8
    /// Questions of one peer, about headers and records, that are being looked up.
    package var lookupsMax = 32
    /// Lookups for peers at a time; one at a time for each organization. Few, so that this node's own readers find room.
    package var lookupsAtOnceMax = 2
    /// Peers of one organization that are served at a time.
    package var readsPerOrganizationMax = 2
    /// How often a node may be served all that is held here before further deltas are charged for: once, and once more where
    /// it has lost what it had. Beside them, ``servedFree`` deltas.
    package var servedTimesFree: UInt64 = 2
    package var servedFree: UInt64 = 10_000
    /// Deltas of this node that a peer refused, noted in one session.
    package var notedRefusalsMax = 1000

    package init() {}
}
