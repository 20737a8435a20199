/// The bounds and intervals of the engine. It has more than 15 properties, since each is a setting that tests and simulations change
/// by name; those that belong to one inner machine are grouped.
package struct EngineSettings: Hashable, Sendable {
    package var overlay = OverlaySettings()
    package var broadcast = BroadcastSettings()
    package var budget = BudgetSettings()

    /// How long a connection may stay silent before its first message. A guess: ten round trips to the far side of the
    /// earth, with room for a busy machine.
    package var helloDeadline: Milliseconds = 10_000
    /// How often each neighbour is sent this node's state when nothing changes. It also keeps `last contact` fresh.
    package var heartbeat: Milliseconds = 5_000
    /// How often a random neighbour is asked for its state, so that this node finds deltas that a push lost (Demers et
    /// al. 1987, section 1.3). Jitter: half to one and a half times this.
    package var antiEntropy: Milliseconds = 10_000
    /// How often a node that is no neighbour is dialled to compare frontiers, so that no part of the alliance stays
    /// isolated. Jitter: half to one and a half times this. A guess: a handshake a minute costs little. If a hundred
    /// nodes are split in halves, one of them finds the other side a second after the split ends.
    package var nonNeighbour: Milliseconds = 60_000
    /// How long changes are gathered before they, or a new state, are announced to peers. A longer time saves messages
    /// during an import; a shorter one shows progress sooner.
    package var announceDelay: Milliseconds = 100
    /// How long a neighbour may be silent before another one replaces it: three heartbeats.
    package var suspectAfter: Milliseconds = 15_000
    /// How long a session may go without receiving anything: twelve heartbeats, since a large message on a slow line
    /// delays them.
    package var silenceMax: Milliseconds = 60_000
    /// How long a session with a node that is no neighbour stays open without a purpose.
    package var idleMax: Milliseconds = 5_000
    /// How long a peer that broke the protocol is banned. A guess: long enough that its violations cost little.
    package var banTime: Milliseconds = 60_000
    /// The most connections with one node at a time, open or not.
    package var linksPerNodeMax = 4
    /// The most connections with the nodes of one organization at a time: more than the neighbours in a full mesh plus
    /// short sessions.
    package var linksPerOrganizationMax = 16
    /// The most connections at a time. Each costs some 50 KiB of memory, and an organization gets no more than its
    /// share.
    package var linksMax = 128
    /// The most nodes dialled at a time, not counting those for which a person waits.
    package var dialsMax = 16
    /// How long a dial may take, over all of a node's addresses.
    package var dialDeadline: Milliseconds = 10_000
    /// The shortest time between two comparisons of frontiers with a peer. It doubles while comparisons do not help, up
    /// to `comparePauseMax`.
    package var comparePauseMin: Milliseconds = 1_000
    package var comparePauseMax: Milliseconds = 60_000
    /// The first pause after a failed dial. It doubles up to `dialPauseMax`, each time with jitter.
    package var dialPauseMin: Milliseconds = 500
    package var dialPauseMax: Milliseconds = 15_000
    /// How long the node with the greater key leaves dialling to the other, if both would dial.
    package var dialCourtesy: Milliseconds = 1_000
    /// How long a requested range of a log may make no progress before another peer is asked for it.
    package var wantDeadline: Milliseconds = 20_000
    /// How long nothing of a range may come before a second peer, which has a little more of the log, is asked too. So
    /// a peer that promises deltas it does not have delays nobody for longer. A guess: a few round trips to the far
    /// side of the earth.
    package var wantLateAfter: Milliseconds = 1_500
    /// The most deltas that such a second question may ask for. If both peers answer, so many deltas come twice.
    package var lateDeltasMax: UInt64 = 16
    /// The same for a delta that the broadcast has missed: it is small, and the peer asked has just announced it.
    package var graftDeadline: Milliseconds = 3_000
    /// The most bytes of deltas that one peer may have under way to this node: requested and not yet durable, or
    /// promised.
    package var creditBytes: UInt64 = 4 * 1024 * 1024
    /// The bytes of deltas in one message, beyond which no further delta is added; likewise for statements and headers.
    /// At 256 kbit/s such a message takes 8 seconds, well below `wantDeadline`.
    package var messageBytes: UInt64 = 256 * 1024
    /// The most bytes of a new delta that is pushed. For a larger one only the head is announced.
    package var pushBytesMax = 64 * 1024
    /// The bytes pushed to a peer and not confirmed, beyond which new heads are only announced to it.
    package var pushWindow = 1024 * 1024
    /// The most logs requested from one peer at a time.
    package var wantsPerLinkMax = 64
    /// The most ranges that one peer may wait for here; more ends the connection.
    package var servedWantsMax = 1024
    /// The bytes of deltas waiting to be stored, beyond which a push is dropped; anti-entropy brings it later.
    package var storingBytesMax: UInt64 = 32 * 1024 * 1024
    /// The number of statements and announcements of one organization that this node passes on in a second.
    /// `relaysBurst` is the number that an organization may save up, for the nodes that it enrols at one time. The rest
    /// waits for `relayPause`. A larger value lets one member cause more traffic between others; a smaller one delays
    /// an organization that enrols hundreds of nodes.
    package var relaysPerSecond: UInt64 = 4
    package var relaysBurst: UInt64 = 256
    package var relayPause: Milliseconds = 1_000
    /// The most announcements kept of nodes that no known statement has enrolled; and, for each peer, the most
    /// statements without standing.
    package var orphansMax = 256
    /// How long this node does not ask a peer for a log after the peer sent something refused of it.
    package var backOffTime: Milliseconds = 60_000
    /// The precision with which the end of a back-off is kept.
    package var backOffCheck: Milliseconds = 5_000
    /// The number of refused deltas that are the peer's fault, after which the connection is closed.
    package var refusalsMax = 100
    /// The most deltas that could not be taken and are remembered, with their reasons, for people.
    package var parkedMax = 256
    /// The most heads in one message.
    package var headsPerMessage = 10_000
    /// The most logs remembered of one peer, ahead of this node or behind it. The peer is asked for logs without room
    /// once the others are here.
    package var headsMax = 20_000
    /// The most of these that have one author. Each start of a machine may begin one log.
    package var headsPerAuthorMax = 256
    /// The most of these that have authors of one organization, however many keys it has.
    package var headsPerOrganizationMax = 2_048
    /// The most headers compared in one step of a search for a fork.
    package var headersPerInquiry: UInt64 = 256
    /// The most searches for forks under way with one peer.
    package var inquiriesMax = 8
    /// The most questions of one peer, about headers and records, that are being looked up.
    package var lookupsMax = 32
    /// The most lookups for peers at a time, with one at a time for each organization. Few, so that this node's own
    /// readers find room.
    package var lookupsAtOnceMax = 2
    /// The most peers of one organization that are served at a time.
    package var readsPerOrganizationMax = 2
    /// How often a node may be served all deltas held here before further ones are charged: once, and once more if it
    /// has lost them. ``servedFree`` deltas are free besides.
    package var servedTimesFree: UInt64 = 2
    package var servedFree: UInt64 = 10_000
    /// The most deltas of this node that a peer refused and that are noted in one session.
    package var notedRefusalsMax = 1000

    package init() {}
}
