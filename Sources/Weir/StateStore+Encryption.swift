public import WeirCore
public import WeirEncryption

extension StateStore {
    /// The same store with its state, and what sockets have taken in, encrypted by AES-256-GCM.
    ///
    /// The names of stages, counts and positions in a checkpoint's manifest stay readable. To change
    /// the key, give a new current one and the older ones beside it: what they sealed stays readable
    /// until checkpoints and the journal have moved on. A store that was written without keys can be
    /// gone on with: from then on what is written is encrypted.
    ///
    /// ```swift
    /// .directory("ledger-state").encrypted(with: FixedKeys(current: key))
    /// ```
    ///
    /// - Parameter keys: The keys.
    public func encrypted(with keys: some KeyProvider) -> StateStore {
        var store = self
        store.cipher = RecordEncryption(keys: keys)
        return store
    }
}
