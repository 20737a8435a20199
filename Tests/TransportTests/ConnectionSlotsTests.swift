import Simulator
import Testing
import Transport

@Suite struct ConnectionSlotsTests {
    private func address(_ number: Int) -> AddressGroup { AddressGroup(host: "10.0.\(number / 256).\(number % 256)") }

    private func slots(total: Int = 1000, unauthenticated: Int = 64, perAddress: Int = 16) -> ConnectionSlots {
        ConnectionSlots(totalMax: total, unauthenticatedMax: unauthenticated, unauthenticatedPerAddressMax: perAddress)
    }

    @Test func theOldestUnverifiedConnectionOfAFullAddressMakesRoom() throws {
        var slots = slots(perAddress: 2)
        let first = try #require(slots.arrive(from: address(1)).id)
        _ = slots.arrive(from: address(2))
        let second = try #require(slots.arrive(from: address(1)).id)
        let third = slots.arrive(from: address(1))
        #expect(third.id != nil && third.cut == [first])
        #expect(slots.arrive(from: address(1)).cut == [second])
        #expect(slots.unauthenticatedCount == 3)
    }

    /// A flood from six addresses never removes a connection from a seventh during its handshake.
    @Test func aFloodFromAFewAddressesNeverReachesTheConnectionOfAnother() throws {
        var slots = slots()
        for number in 0..<1000 {
            for id in slots.arrive(from: address(number % 6)).cut { slots.remove(id) }
        }
        let honest = slots.arrive(from: address(100))
        for id in honest.cut { slots.remove(id) }
        let own = try #require(honest.id)
        for number in 0..<100_000 {
            let arrival = slots.arrive(from: address(number % 6))
            #expect(arrival.id != nil && !arrival.cut.contains(own))
            for id in arrival.cut { slots.remove(id) }
        }
        #expect(slots.settle(own, on: PeerTerms()) == .taken(cut: []))
    }

    /// With more addresses than slots, the oldest connection goes. A connection survives as many arrivals as there are
    /// slots.
    @Test func aConnectionSurvivesAsManyArrivalsAsThereAreSlots() throws {
        var slots = slots(unauthenticated: 64)
        for number in 0..<64 { _ = slots.arrive(from: address(number)) }
        let honest = slots.arrive(from: address(100))
        for id in honest.cut { slots.remove(id) }
        for number in 0..<63 {
            let arrival = slots.arrive(from: address(1000 + number))
            #expect(!arrival.cut.contains(try #require(honest.id)))
            for id in arrival.cut { slots.remove(id) }
        }
        #expect(slots.settle(try #require(honest.id), on: PeerTerms()) == .taken(cut: []))
    }

    @Test func anAccountAndAClassHaveTheirBounds() throws {
        var slots = slots()
        let some = PeerClass(name: "some", connectionsMax: 4, accountConnectionsMax: 3)
        func settle(_ account: UInt8) throws -> ConnectionSlots.Settlement {
            let id = try #require(slots.arrive(from: address(Int(account))).id)
            let result = slots.settle(id, on: PeerTerms(some, account: [account]))
            if case .taken = result { ids[account, default: []].append(id) } else { slots.end(id) }
            return result
        }
        var ids: [UInt8: [ConnectionSlots.ID]] = [:]
        for _ in 0..<3 { #expect(try settle(1) == .taken(cut: [])) }
        #expect(try settle(1) == .accountFull)
        #expect(try settle(2) == .taken(cut: []))
        // The class is full. An account at least two connections below the fullest account replaces that account's
        // oldest connection.
        #expect(try settle(2) == .taken(cut: [try #require(ids[1]?[0])]))
        #expect(try settle(2) == .classFull)
        #expect(try settle(3) == .taken(cut: [try #require(ids[1]?[1])]))
        #expect(try settle(4) == .taken(cut: [try #require(ids[2]?[0])]))
        #expect(try settle(5) == .classFull)
        // Ending a connection makes room.
        slots.end(try #require(ids[3]?[0]))
        #expect(try settle(5) == .taken(cut: []))
        // Another class has its own limits, and dialled connections are never refused.
        let id = try #require(slots.arrive(from: address(9)).id)
        #expect(slots.settle(id, on: PeerTerms(.plain, account: [1])) == .taken(cut: []))
        #expect(slots.settle(slots.dial(), on: PeerTerms(some, account: [1])) == .taken(cut: []))
    }

    @Test func inAClassOfShortConnectionsTheOldestGoes() throws {
        var slots = slots()
        let short = PeerClass(name: "short", connectionsMax: 3, accountConnectionsMax: 2, evictsOldest: true)
        func settle(_ account: UInt8) throws -> (id: ConnectionSlots.ID, result: ConnectionSlots.Settlement) {
            let id = try #require(slots.arrive(from: address(Int(account))).id)
            return (id, slots.settle(id, on: PeerTerms(short, account: [account])))
        }
        let first = try settle(1)
        let second = try settle(1)
        #expect(try settle(1).result == .taken(cut: [first.id]))
        let other = try settle(2)
        #expect(other.result == .taken(cut: []))
        // Account 1 has the most connections.
        #expect(try settle(3).result == .taken(cut: [second.id]))
        // All accounts have equally many; the remaining connection of account 1 is the oldest.
        let last = try settle(4)
        guard case .taken(let cut) = last.result else {
            Issue.record("\(last)")
            return
        }
        #expect(cut.count == 1 && cut[0] < other.id)
    }

    @Test func endingConnectionsAreCutFirstIfAllIsFull() throws {
        var slots = slots(total: 20, unauthenticated: 10)
        var settled: [ConnectionSlots.ID] = []
        for number in 0..<20 {
            let id = try #require(slots.arrive(from: address(number)).id)
            #expect(slots.settle(id, on: PeerTerms()) == .taken(cut: []))
            settled.append(id)
        }
        #expect(slots.arrive(from: address(50)).id == nil)
        slots.end(settled[7])
        let arrival = slots.arrive(from: address(50))
        #expect(arrival.id != nil && arrival.cut == [settled[7]])
        // A connection is cut once; then there is no more room.
        #expect(slots.arrive(from: address(51)).id == nil)
        slots.remove(settled[7])
        #expect(slots.settle(settled[7], on: PeerTerms()) == .gone)
    }

    /// Compares random arrivals and departures with plain counting.
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func theBoundsHoldAtEveryMoment(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let totalMax = 60
        var slots = slots(total: totalMax, unauthenticated: 20, perAddress: 6)
        let classes = [
            PeerClass(name: "a", connectionsMax: 15, accountConnectionsMax: 5),
            PeerClass(name: "b", connectionsMax: 6, accountConnectionsMax: 2, evictsOldest: true),
        ]
        enum Phase: Equatable { case unauthenticated(Int), settled(Int, UInt8), ending }
        var model: [ConnectionSlots.ID: Phase] = [:]
        func count(_ holds: (Phase) -> Bool) -> Int { model.values.count { holds($0) } }
        for step in 0..<20_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let place = Int.random(in: 0..<8, using: &random)
                let arrival = slots.arrive(from: address(place))
                for id in arrival.cut { model[id] = .ending }
                if let id = arrival.id { model[id] = .unauthenticated(place) }
            case 5, 6:
                let candidates = model.filter { if case .unauthenticated = $0.value { true } else { false } }.keys
                    .sorted()
                guard let id = candidates.randomElement(using: &random) else { break }
                let which = Int.random(in: 0..<2, using: &random)
                let account = UInt8.random(in: 0..<6, using: &random)
                if case .taken(let cut) = slots.settle(id, on: PeerTerms(classes[which], account: [account])) {
                    for victim in cut { model[victim] = .ending }
                    model[id] = .settled(which, account)
                } else {
                    slots.end(id)
                    model[id] = .ending
                }
            case 7:
                guard let id = model.keys.sorted().randomElement(using: &random) else { break }
                slots.end(id)
                model[id] = .ending
            default:
                guard let id = model.keys.sorted().randomElement(using: &random) else { break }
                slots.remove(id)
                model[id] = nil
            }
            let moment = "seed \(seed), step \(step)"
            #expect(slots.total == model.count, "\(moment)")
            #expect(slots.total <= totalMax + totalMax / 16 + 1, "\(moment)")
            #expect(
                slots.unauthenticatedCount == count { if case .unauthenticated = $0 { true } else { false } },
                "\(moment)"
            )
            #expect(slots.unauthenticatedCount <= 20, "\(moment)")
            for place in 0..<8 { #expect(count { $0 == .unauthenticated(place) } <= 6, "\(moment)") }
            for (which, peerClass) in classes.enumerated() {
                let all = count { if case .settled(which, _) = $0 { true } else { false } }
                #expect(all <= peerClass.connectionsMax, "\(moment)")
                for account in 0..<6 as Range<UInt8> {
                    #expect(count { $0 == .settled(which, account) } <= peerClass.accountConnectionsMax, "\(moment)")
                }
            }
        }
    }
}

@Suite struct AddressGroupTests {
    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("127.0.0.1", "127.0.0.1"),
        ("2001:db8:0:1234::1", "2001:db8:0:1200::/56"), ("fe80::1%eth0", "fe80::/56"), ("::1", "::/56"),
        ("", "unknown"), ("node.example", "unknown"),
    ])
    func anAddressIsOfItsGroup(host: String, group: String) {
        #expect(AddressGroup(host: host).description == group)
    }

    @Test func networksOf56BitsCountAsOne() {
        #expect(AddressGroup(host: "2001:db8:0:12ff::1") == AddressGroup(host: "2001:db8:0:1200:5::9"))
        #expect(AddressGroup(host: "2001:db8:0:1300::1") != AddressGroup(host: "2001:db8:0:1200::1"))
        #expect(AddressGroup(host: "10.0.0.1") != AddressGroup(host: "10.0.0.2"))
    }
}

@Suite struct ByteBudgetTests {
    private final class Holder {}

    @Test func theLargestHolderOfTheLargestAccountMakesRoom() {
        var budget = ByteBudget<Holder>(bytesMax: 99)
        let (many, one) = ((0..<5).map { _ in Holder() }, Holder())
        // The largest holder does not belong to the largest account.
        #expect(budget.set(30, of: one, account: [1]) == nil)
        for (number, holder) in many.enumerated() {
            let victim = budget.set(12 + number, of: holder, account: [2])
            #expect(number < 4 ? victim == nil : victim === many[4])
        }
        #expect(budget.total == 30 + 12 + 13 + 14 + 15)
        // A change replaces the earlier count; zero removes the holder.
        #expect(budget.set(20, of: many[0], account: [2]) == nil)
        #expect(budget.total == 92)
        for holder in many { _ = budget.set(0, of: holder, account: [2]) }
        #expect(budget.total == 30)
        budget.remove(ObjectIdentifier(one), account: [1])
        #expect(budget.total == 0)
    }

    @Test func aHolderThatExceedsTheBoundAloneIsTheVictim() {
        var budget = ByteBudget<Holder>(bytesMax: 100)
        let holder = Holder()
        #expect(budget.set(101, of: holder, account: []) === holder)
        #expect(budget.total == 0)
    }
}
