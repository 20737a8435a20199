import Catalog
package import DeltaLog
import Gossip

// Edits by people.

/// A requested change of one record of a node's own organization.
package struct RecordChange: Hashable, Sendable {
    package let localID: String
    /// The record's new name; nil to delete it.
    package let name: String?

    package init(localID: String, name: String?) {
        self.localID = localID
        self.name = name
    }
}

extension Simulation {
    /// Writes names of records of the node's own organization in one delta.
    @discardableResult
    package func write(_ nodeIndex: Int, _ names: [(localID: String, name: String)]) -> Int32? {
        change(nodeIndex, names.map { RecordChange(localID: $0.localID, name: $0.name) })
    }

    /// Requests a change, which waits for the disk like all other writes.
    package func ask(_ nodeIndex: Int, _ changes: [RecordChange]) {
        begin(.change(changes, askedAt: now), at: nodeIndex)
    }

    /// Changes records of the node's own organization in one delta. Returns the delta's number in the pool after it is
    /// on disk. Returns nil if there is nothing to write, the node does not run, or it crashes during the write.
    ///
    /// - Parameter askedAt: the time of the request, in nanoseconds since the start; nil for now.
    @discardableResult
    package func change(_ nodeIndex: Int, _ changes: [RecordChange], askedAt: UInt64? = nil) -> Int32? {
        let node = nodes[nodeIndex]
        guard node.isRunning, let box = node.box else { return nil }
        let drafts = hostile(changes.compactMap { draft($0, at: node) }, by: node.role)
        guard !drafts.isEmpty else { return nil }
        var log = node.log ?? LogID(author: node.key, incarnation: engineRandom.next() | 1)
        if box.engine.forks[log] != nil { log = LogID(author: node.key, incarnation: engineRandom.next() | 1) }
        node.log = log
        let stamp = node.clock.tick(wallMilliseconds: node.wallMilliseconds(at: now))
        // These drafts are within the limits, so signing never fails.
        let delta = try! VerifiedDelta(
            signing: drafts,
            salts: drafts.map { _ in writeRandom.bytes(Content.saltByteCount) },
            as: VerifiedDelta.Authorship(
                alliance: alliance.id,
                organization: alliance.organization(node.organization),
                log: log,
                head: node.disk.head(of: log),
                stamp: stamp,
                importMark: nil
            ),
            signer: alliance.signer(node.number),
            hasher: alliance.cryptography
        )
        let index = pool.add(delta)
        fork(delta, at: node)
        spread.begun(index, at: nodeIndex, now: askedAt ?? now)
        commitOwn(delta, at: node)
        return node.box == nil ? nil : index
    }

    /// Commits an own delta. The token names the head that the folder has or is about to have, so a crash between the
    /// two is harmless.
    private func commitOwn(_ delta: VerifiedDelta, at node: VirtualNode) {
        if node.token?.log != delta.log {
            node.token = VirtualToken(nodeIndex: node.nodeIndex, boot: node.boot, log: delta.log)
        }
        node.token?.head = node.disk.head(of: delta.log)
        node.token?.intended = delta.head
        if settings.plant == .sendBeforeDurable {
            answer(.committed([delta], summary: node.summary), at: node.nodeIndex)
            begin(.write(delta), at: node.nodeIndex)
            return
        }
        if node.isDoomedInWrite {
            if Bool.random(using: &faultRandom) { keep(delta, at: node) }
            crash(node.nodeIndex, isClean: Bool.random(using: &faultRandom))
            return
        }
        keep(delta, at: node)
        node.token?.head = delta.head
        node.token?.intended = nil
        node.acknowledged[delta.log] = delta.header.sequence
        answer(.committed([delta], summary: node.summary), at: node.nodeIndex)
    }

    /// Writes an own delta to the disk; it is durable if the disk does not lie.
    func keep(_ delta: VerifiedDelta, at node: VirtualNode) {
        keepHistory(node)
        apply(delta, to: node)
        node.lastLog = delta.log
        if let other = checkers.continued(delta), node.role == nil {
            violate(
                "node \(node.nodeIndex) continues its log with a second delta \(delta.header.sequence): "
                    + "\(other.hex.prefix(8)) and \(delta.hash.hex.prefix(8))"
            )
        }
        changed(node)
    }

    private func draft(_ change: RecordChange, at node: VirtualNode) -> OperationDraft? {
        let identity = RecordIdentity(kind: "resource", localID: change.localID)
        let key = identity.key(alliance.cryptography)
        let record = RecordID(
            alliance: alliance.id,
            owner: alliance.organization(node.organization),
            key: key,
            hasher: alliance.cryptography
        )
        let view = node.disk.view(of: record)
        guard let name = change.name else {
            return view.flatMap { $0.isDeleted ? nil : Planner.deletion(of: $0) }
        }
        return Planner.upsert(
            identity,
            key: key,
            over: view,
            changes: [(FieldPath(unchecked: "name/und"), .set(.text(name)))],
            settling: .settles
        )
    }

    /// Writes a delta to a node's disk without informing a running engine.
    package func put(_ delta: VerifiedDelta, into nodeIndex: Int) {
        apply(delta, to: nodes[nodeIndex])
        note(delta.hash.word0, "a delta is put into the folder of node \(nodeIndex)")
    }
}
