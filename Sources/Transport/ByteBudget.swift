/// What connections hold in memory together, and which of them to close when it is too much: the one that holds most, of
/// the account that holds most. A pure value.
///
/// - Complexity: Constant, and linear in the accounts and in one account's connections where the bound is exceeded.
package struct ByteBudget<Holder: AnyObject> {
    private struct Share {
        weak var holder: Holder?
        var bytes: Int
    }

    private struct Account {
        var bytes = 0
        var shares: [ObjectIdentifier: Share] = [:]
    }

    private let bytesMax: Int
    /// Bytes held by all.
    package private(set) var total = 0
    private var accounts: [[UInt8]: Account] = [:]

    /// Nobody holds anything.
    package init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// A holder holds so many bytes now.
    ///
    /// - Returns: Who has to be closed; what it holds counts no more. Nil within the bound.
    package mutating func set(_ bytes: Int, of holder: Holder, account name: [UInt8]) -> Holder? {
        replace(bytes, of: ObjectIdentifier(holder), holder, account: name)
        guard total > bytesMax, let fullest = accounts.max(by: { $0.value.bytes < $1.value.bytes }),
            let victim = fullest.value.shares.max(by: { $0.value.bytes < $1.value.bytes })
        else { return nil }
        replace(0, of: victim.key, nil, account: fullest.key)
        return victim.value.holder
    }

    /// A holder is no more.
    package mutating func remove(_ id: ObjectIdentifier, account: [UInt8]) { replace(0, of: id, nil, account: account) }

    private mutating func replace(_ bytes: Int, of id: ObjectIdentifier, _ holder: Holder?, account name: [UInt8]) {
        var account = accounts.removeValue(forKey: name) ?? Account()
        let difference = bytes - (account.shares[id]?.bytes ?? 0)
        total += difference
        account.bytes += difference
        account.shares[id] = bytes == 0 ? nil : Share(holder: holder, bytes: bytes)
        if !account.shares.isEmpty { accounts[name] = account }
    }
}
