import NIOCore

/// Counts a transport's connections and says whom to close, so that nobody can keep others out by holding many.
///
/// A connection is a **stranger** until its handshake is done, then **settled** on the terms of its key, at last
/// **ending**, until its socket is closed. A pure value; a connection's id tells its age.
///
/// Strangers never keep a new one out: the oldest of the address that holds most makes room. So who comes from an
/// address with few connections has the time for its handshake, however many come from others. For settled connections
/// the same holds among the accounts of a class (``PeerClass``), by accounts instead of addresses.
///
/// - Complexity: Linear in the number of addresses or accounts at a bound, else in the connections of one of them.
package struct ConnectionSlots {
    /// A connection, ascending by age: the oldest has the least.
    package typealias ID = UInt64

    private enum Phase: Hashable {
        case stranger(AddressGroup)
        case dialled
        case settled(PeerTerms)
        case ending
    }

    private let totalMax: Int
    private let strangersMax: Int
    private let strangersPerAddressMax: Int
    private var nextID: ID = 0
    private var phases: [ID: Phase] = [:]
    /// Each ascending.
    private var strangers: [AddressGroup: [ID]] = [:]
    /// Connections whose handshake is not done.
    package private(set) var strangerCount = 0
    /// By class and account, each ascending.
    private var accounts: [PeerTerms: [ID]] = [:]
    private var classCounts: [PeerClass: Int] = [:]
    /// Connections that are ending, in that order; those that have been cut or closed since are passed over.
    private var endings = CircularBuffer<ID>()
    private var uncut: Set<ID> = []

    /// No connection.
    ///
    /// - Parameters:
    ///   - totalMax: All connections. Strangers and settled ones should leave room for some that are ending; for a moment
    ///     there may be a sixteenth more.
    ///   - strangersMax: At least 1.
    ///   - strangersPerAddressMax: At least 1.
    package init(totalMax: Int, strangersMax: Int, strangersPerAddressMax: Int) {
        self.totalMax = totalMax
        self.strangersMax = strangersMax
        self.strangersPerAddressMax = strangersPerAddressMax
    }

    /// All connections, those that are ending included.
    package var total: Int { phases.count }

    // MARK: Coming

    /// A connection has come in.
    ///
    /// - Returns: Its id, nil where it has to be closed; and the connections to cut for it.
    package mutating func arrive(from address: AddressGroup) -> (id: ID?, cut: [ID]) {
        var cut: [ID] = []
        if let own = strangers[address], own.count >= strangersPerAddressMax {
            cut.append(own[0])
        } else if strangerCount >= strangersMax, let victim = Self.oldestOfFullest(strangers.values) {
            cut.append(victim)
        }
        for id in cut { end(id, isCut: true) }
        if phases.count >= totalMax {
            guard let ending = firstEnding() else { return (nil, cut) }
            cut.append(ending)
            // Its socket is there until it has been closed, so a few more are for a moment.
            guard phases.count < totalMax + totalMax / 16 + 1 else { return (nil, cut) }
        }
        let id = add(.stranger(address))
        strangers[address, default: []].append(id)
        strangerCount += 1
        return (id, cut)
    }

    /// This node has dialled a peer. Whoever dials bounds how often.
    package mutating func dial() -> ID { add(.dialled) }

    private mutating func add(_ phase: Phase) -> ID {
        nextID += 1
        phases[nextID] = phase
        return nextID
    }

    // MARK: Settling

    /// What came of a handshake's end.
    package enum Settlement: Equatable {
        /// Taken, with the connections to cut for it.
        case taken(cut: [ID])
        /// The account has its number of connections.
        case accountFull
        /// The class has.
        case classFull
        /// It was cut meanwhile.
        case gone
    }

    /// A connection's handshake is done. One that this node has dialled is counted, and never refused.
    package mutating func settle(_ id: ID, on terms: PeerTerms) -> Settlement {
        let isDialled: Bool
        switch phases[id] {
        case .stranger: isDialled = false
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

    // MARK: Going

    /// A connection is ending: it counts for nobody any more, and is the first to be cut where room is needed.
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

    /// A connection's socket is closed.
    package mutating func remove(_ id: ID) {
        leave(id)
        phases[id] = nil
        uncut.remove(id)
        // What was closed by itself is not kept in the queue for long.
        if endings.count > 2 * uncut.count + 64 { endings = CircularBuffer(endings.filter { uncut.contains($0) }) }
    }

    /// Takes a connection out of what it counts for.
    private mutating func leave(_ id: ID) {
        switch phases[id] {
        case .stranger(let address):
            Self.remove(id, from: &strangers, at: address)
            strangerCount -= 1
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
