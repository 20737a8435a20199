/// The overlay's sizes and intervals.
package struct OverlaySettings: Hashable, Sendable {
    /// With so many nodes or fewer everybody is everybody's neighbour. A dozen links cost a node next to nothing, and no
    /// delta then takes more than one hop.
    package var meshNodesMax = 12
    /// Neighbours that a node looks for. HyParView's evaluation has five with 10,000 nodes; one more leaves a node with
    /// none in seven of 10,000 cases where three in ten are dead.
    package var neighboursWanted = 6
    /// Neighbours that a node takes in. Beyond it only a node that has none is let in, instead of another. More: fewer
    /// refusals, and more links.
    package var neighboursMax = 8
    /// The slots of neighbours and of the passive view are in so many parts, at least 1; no organization but the node's own
    /// takes more than one of them, unless there are fewer organizations. More parts: less that one organization can
    /// withhold, and more that several together can.
    package var organizationParts = 3
    /// Nodes in the passive view. The paper has 30 for 10,000 nodes.
    package var passiveMax = 30
    /// How often neighbours are looked for where some are lacking.
    package var seekInterval: Milliseconds = 1_000
    /// How long an answer to a request may take.
    package var answerDeadline: Milliseconds = 5_000
    /// How long a node that refused, left or fell silent is not asked again.
    package var reluctance: Milliseconds = 30_000
    /// How often a view is shuffled; half to one and a half times this. A guess: a dead node is out of the views some
    /// minutes later.
    package var shuffleInterval: Milliseconds = 30_000
    /// Links that a shuffle walks. The paper's active random walk length.
    package var walkHops: UInt32 = 6
    /// Nodes of the active and of the passive view in a shuffle: the paper's 3 and 4.
    package var shuffleActive = 3
    package var shufflePassive = 4
    /// How long the way back of a shuffle is remembered, and how many are.
    package var walkDeadline: Milliseconds = 10_000
    package var walksMax = 64

    package init() {}
}
