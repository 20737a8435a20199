import NIOCore

/// Counts a transport's connections and selects connections to close, so that nobody can lock others out by holding
/// many.
///
/// A connection starts as **unauthenticated** (`unauthenticated`), is **settled** on its key's terms after its handshake, and
/// is **ending** until its socket is closed. A pure value; ids ascend in the order of age.
///
/// Unauthenticated connections never block a new one: the oldest one of the address with the most connections makes
/// room. A peer whose address has few connections therefore has time for its handshake. The same rule applies to
/// settled connections of a class (``PeerClass``), with accounts instead of addresses.
///
/// - Complexity: At a bound, linear in the number of addresses or accounts. Otherwise linear in the connections of one
///   address or account.
package struct ConnectionSlots {
    /// A connection's id; the oldest connection has the lowest.
    package typealias ID = UInt64

    private enum Phase: Hashable {
        case unauthenticated(AddressGroup)
        case dialled
        case settled(PeerTerms)
        case ending
    }

    private let totalMax: Int
    private let unauthenticatedMax: Int
    private let unauthenticatedPerAddressMax: Int
    private var nextID: ID = 0
    private var phases: [ID: Phase] = [:]
    /// The unauthenticated connections of each address, ascending.
    private var unauthenticated: [AddressGroup: [ID]] = [:]
    /// The number of unauthenticated connections.
    package private(set) var unauthenticatedCount = 0
    /// The settled connections of each class and account, ascending.
    private var accounts: [PeerTerms: [ID]] = [:]
    private var classCounts: [PeerClass: Int] = [:]
    /// The ending connections in the order in which they began to end. Entries that are cut or closed already are
    /// skipped.
    private var endings = CircularBuffer<ID>()
    private var uncut: Set<ID> = []

    /// Creates a value without connections.
    ///
    /// - Parameters:
    ///   - totalMax: The maximum number of connections. Reserve some for ending connections; the total may exceed it by
    ///     a sixteenth for a moment.
    ///   - unauthenticatedMax: The maximum number of unauthenticated connections; at least 1.
    ///   - unauthenticatedPerAddressMax: The same per address; at least 1.
    package init(totalMax: Int, unauthenticatedMax: Int, unauthenticatedPerAddressMax: Int) {
        self.totalMax = totalMax
        self.unauthenticatedMax = unauthenticatedMax
        self.unauthenticatedPerAddressMax = unauthenticatedPerAddressMax
    }

    /// The number of all connections, including ending ones.
    package var total: Int { phases.count }

    // MARK: Arriving

    /// Adds an incoming connection.
    ///
    /// - Returns: Its id, or nil if it must be closed; and the connections to cut for it.
    package mutating func arrive(from address: AddressGroup) -> (id: ID?, cut: [ID]) {
        var cut: [ID] = []
        if let own = unauthenticated[address], own.count >= unauthenticatedPerAddressMax {
            cut.append(own[0])
        } else if unauthenticatedCount >= unauthenticatedMax, let victim = Self.oldestOfFullest(unauthenticated.values)
        {
            cut.append(victim)
        }
        for id in cut { end(id, isCut: true) }
        if phases.count >= totalMax {
            guard let ending = firstEnding() else { return (nil, cut) }
            cut.append(ending)
            // A cut connection keeps its socket until the socket is closed, so a few extra are allowed for a moment.
            guard phases.count < totalMax + totalMax / 16 + 1 else { return (nil, cut) }
        }
        let id = add(.unauthenticated(address))
        unauthenticated[address, default: []].append(id)
        unauthenticatedCount += 1
        return (id, cut)
    }

    /// Adds a connection that this node dialled. The caller limits the number of dials.
    package mutating func dial() -> ID { add(.dialled) }

    private mutating func add(_ phase: Phase) -> ID {
        nextID += 1
        phases[nextID] = phase
        return nextID
    }

    // MARK: Settling

    /// The result of settling a connection.
    package enum Settlement: Equatable {
        /// Accepted; the connections in `cut` must be cut for it.
        case taken(cut: [ID])
        /// The account has its maximum number of connections.
        case accountFull
        /// The class has its maximum number of connections.
        case classFull
        /// The connection was cut in the meantime.
        case gone
    }

    /// Settles a connection whose handshake is complete. A dialled connection is counted but never refused.
    package mutating func settle(_ id: ID, on terms: PeerTerms) -> Settlement {
        let isDialled: Bool
        switch phases[id] {
        case .unauthenticated: isDialled = false
        case .dialled: isDialled = true
        case .settled, .ending, nil: return .gone
        }
        var cut: [ID] = []
        let peerClass = terms.peerClass
        let own = accounts[terms] ?? []
        if !isDialled {
            if own.count >= peerClass.accountConnectionsMax {
                guard peerClass.evictsOldest, let oldest = own.first else { return .accountFull }
                cut.append(oldest)
            } else if classCounts[peerClass, default: 0] >= peerClass.connectionsMax {
                let others = accounts.filter { $0.key.peerClass == peerClass }.values
                let most = others.lazy.map(\.count).max() ?? 0
                guard peerClass.evictsOldest || most > own.count + 1, let victim = Self.oldestOfFullest(others) else {
                    return .classFull
                }
                cut.append(victim)
            }
        }
        for victim in cut { end(victim, isCut: true) }
        leave(id)
        phases[id] = .settled(terms)
        accounts[terms, default: []].append(id)
        classCounts[peerClass, default: 0] += 1
        return .taken(cut: cut)
    }

    private static func oldestOfFullest(_ lists: some Collection<[ID]>) -> ID? {
        lists.max { ($0.count, $1.first ?? 0) < ($1.count, $0.first ?? 0) }?.first
    }

    // MARK: Ending

    /// Marks a connection as ending: it no longer counts for an address or account, and is the first to be cut for
    /// room.
    package mutating func end(_ id: ID) { end(id, isCut: false) }

    private mutating func end(_ id: ID, isCut: Bool) {
        guard let phase = phases[id], phase != .ending else { return }
        leave(id)
        phases[id] = .ending
        if !isCut {
            endings.append(id)
            uncut.insert(id)
        }
    }

    private mutating func firstEnding() -> ID? {
        while let id = endings.popFirst() {
            if uncut.remove(id) != nil { return id }
        }
        return nil
    }

    /// Removes a connection whose socket is closed.
    package mutating func remove(_ id: ID) {
        leave(id)
        phases[id] = nil
        uncut.remove(id)
        // Removes the entries of connections that closed without a cut, so the queue stays small.
        if endings.count > 2 * uncut.count + 64 { endings = CircularBuffer(endings.filter { uncut.contains($0) }) }
    }

    /// Removes a connection from the counts of its phase.
    private mutating func leave(_ id: ID) {
        switch phases[id] {
        case .unauthenticated(let address):
            Self.remove(id, from: &unauthenticated, at: address)
            unauthenticatedCount -= 1
        case .settled(let terms):
            Self.remove(id, from: &accounts, at: terms)
            let rest = classCounts[terms.peerClass, default: 1] - 1
            classCounts[terms.peerClass] = rest == 0 ? nil : rest
        case .dialled, .ending, nil: break
        }
    }

    private static func remove<Key>(_ id: ID, from lists: inout [Key: [ID]], at key: Key) {
        guard var list = lists.removeValue(forKey: key) else { return }
        list.removeAll { $0 == id }
        if !list.isEmpty { lists[key] = list }
    }
}
