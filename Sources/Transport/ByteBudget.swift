/// Counts the bytes that connections hold in memory, and selects one to close when the total exceeds the bound. A pure
/// value.
///
/// It selects the account with the most bytes, and of this account the holder with the most bytes.
///
/// - Complexity: Constant within the bound. Beyond it, linear in the accounts and in one account's holders.
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
    /// The number of bytes that all holders have together.
    package private(set) var total = 0
    private var accounts: [[UInt8]: Account] = [:]

    /// Creates an empty budget.
    package init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// Sets the number of bytes that a holder has now.
    ///
    /// - Returns: The holder to close, whose bytes are no longer counted; nil within the bound.
    package mutating func set(_ bytes: Int, of holder: Holder, account name: [UInt8]) -> Holder? {
        replace(bytes, of: ObjectIdentifier(holder), holder, account: name)
        guard total > bytesMax, let fullest = accounts.max(by: { $0.value.bytes < $1.value.bytes }),
            let victim = fullest.value.shares.max(by: { $0.value.bytes < $1.value.bytes })
        else { return nil }
        replace(0, of: victim.key, nil, account: fullest.key)
        return victim.value.holder
    }

    /// Removes a holder that no longer exists.
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
