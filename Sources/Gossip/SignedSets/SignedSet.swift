import Catalog
import DeltaLog
import Governance

/// A signed statement about the alliance, which every member should hold.
protocol SignedElement: Hashable, Sendable {
    associatedtype Key: Hashable & Comparable & Sendable
    /// The set that decides which elements are held.
    associatedtype Held: SignedCollection where Held.Element == Self

    /// The element's name in its set.
    var key: Key { get }
    /// The signed bytes.
    var encoded: [UInt8] { get }

    /// Checks signed bytes.
    init(verifying encoded: [UInt8], alliance: AllianceID, cryptography: some Cryptography) throws(StatementRefusal)

    /// The organization that made it; nil if the roster does not know it.
    func maker(in roster: Roster) -> OrganizationID?

    /// The name of an element with its article, for people.
    static var name: String { get }
    /// The most elements in one message.
    static var countMax: Int { get }
    /// A message with elements.
    static func message(_ encoded: [[UInt8]]) -> PeerMessage
    /// The cost of a check of one element, by ``Price``.
    static func price(byteCount: Int) -> UInt64
}

/// A set of signed elements that does not depend on the order of arrival.
protocol SignedCollection: Hashable, Sendable {
    associatedtype Element: SignedElement

    subscript(key: Element.Key) -> Element? { get }
    var count: Int { get }
    /// Ascending by key.
    var sorted: [Element] { get }
    /// The fingerprint; equal sets have equal ones.
    func fingerprint(hasher: some CatalogHasher) -> Hash256
}

/// A set of signed elements that peers make equal. It caches the bytes of held elements, so that they are not checked
/// again, the order and the fingerprint. It also has the elements that wait to be passed on.
///
/// The collection decides which elements are held: ``GovernanceSet`` keeps statements by their standing and the
/// signers' bounds, ``AnnouncementSet`` the latest announcement of each node.
struct SignedSet<Element: SignedElement>: Sendable {
    private(set) var held: Element.Held
    /// The encoded elements held.
    private var encoded: Set<[UInt8]>
    /// The elements, ascending by key; nil if the set has changed since the order was last needed.
    private var order: [Element]?
    /// The fingerprint; nil if the set has changed since it was last needed.
    private var fingerprint: Hash256?
    /// Keys of elements that wait to be passed on, in order of arrival, each once.
    private var waiting: [Element.Key] = []
    private var waitingKeys: Set<Element.Key> = []

    init(_ held: Element.Held) {
        self.held = held
        encoded = Set(held.sorted.map(\.encoded))
    }

    /// True if an element with exactly these bytes is held: a check would be redundant.
    func holds(_ bytes: [UInt8]) -> Bool { encoded.contains(bytes) }

    /// Changes the collection.
    ///
    /// - Parameter changes: Makes the change, and returns the added elements, each with the one that it replaced.
    mutating func change(_ changes: (inout Element.Held) -> [(added: Element, replaced: Element?)]) {
        let made = changes(&held)
        guard !made.isEmpty else { return }
        order = nil
        fingerprint = nil
        for (added, replaced) in made {
            if let replaced { encoded.remove(replaced.encoded) }
            encoded.insert(added.encoded)
        }
    }

    /// The elements, ascending by key.
    mutating func sorted() -> [Element] {
        if let order { return order }
        let sorted = held.sorted
        order = sorted
        return sorted
    }

    /// The fingerprint of the collection.
    mutating func currentFingerprint(hasher: some CatalogHasher) -> Hash256 {
        if let fingerprint { return fingerprint }
        let current = held.fingerprint(hasher: hasher)
        fingerprint = current
        return current
    }

    /// Adds an element to those that wait to be passed on. If it is replaced before, only its successor is passed on.
    mutating func wait(_ key: Element.Key) {
        if waitingKeys.insert(key).inserted { waiting.append(key) }
    }

    /// Removes and returns the elements that waited and are still held, in order of arrival.
    mutating func takeWaiting() -> [Element] {
        defer { (waiting, waitingKeys) = ([], []) }
        return waiting.compactMap { held[$0] }
    }

    /// A message about the first violated invariant; nil if all hold.
    var violation: String? {
        if encoded.count != held.count {
            return "\(held.count) elements are held, and \(encoded.count) known by their bytes"
        }
        return waiting.count == waitingKeys.count ? nil : "\(Element.name) waits twice to be passed on"
    }
}

extension Statement: SignedElement {
    typealias Held = GovernanceSet

    var key: Hash256 { id }

    func maker(in roster: Roster) -> OrganizationID? {
        switch body {
        case .admission: roster.organization(of: NodeKey(signer))
        case .enrolment(let organization, _, _, _): roster.members[organization]?.id
        case .fork(let log, _): roster.organization(of: log.author)
        }
    }

    static var name: String { "a governance statement" }
    static var countMax: Int { PeerMessage.statementsMax }

    static func message(_ encoded: [[UInt8]]) -> PeerMessage {
        .governance(known: [], statements: encoded, answer: false)
    }

    static func price(byteCount: Int) -> UInt64 { Price.statement + Price.bytes(byteCount) }
}

extension Announcement: SignedElement {
    typealias Held = AnnouncementSet

    var key: NodeKey { node }

    func maker(in roster: Roster) -> OrganizationID? { roster.organization(of: node) }

    static var name: String { "an announcement" }
    static var countMax: Int { PeerMessage.announcementsMax }
    static func message(_ encoded: [[UInt8]]) -> PeerMessage { .announcements(encoded) }
    static func price(byteCount: Int) -> UInt64 { Price.signature }
}

extension GovernanceSet: SignedCollection {
    subscript(key: Hash256) -> Statement? { statements[key] }
    var count: Int { statements.count }
}

extension AnnouncementSet: SignedCollection {
    subscript(key: NodeKey) -> Announcement? { latest[key] }
    var count: Int { latest.count }
}
