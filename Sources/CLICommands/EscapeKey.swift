/// Finds the key that leaves the guest, `Ctrl-]`, in what is typed.
enum EscapeKey {
    static let leave: UInt8 = 0x1d

    /// The bytes before the key, and whether it was there.
    static func split(_ bytes: ArraySlice<UInt8>) -> (typed: ArraySlice<UInt8>, leaves: Bool) {
        guard let index = bytes.firstIndex(of: leave) else { return (bytes, false) }
        return (bytes[..<index], true)
    }
}
