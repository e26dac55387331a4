/// The smallest file that says of itself that it is a bzImage with this payload.
func bzImage(_ payload: [UInt8]) -> [UInt8] {
    var image = [UInt8](repeating: 0, count: 1024)
    func set(_ offset: Int, _ bytes: [UInt8]) {
        for (index, byte) in bytes.enumerated() { image[offset + index] = byte }
    }
    set(0x1f1, [1])
    set(0x1fe, [0x55, 0xaa])
    set(0x202, Array("HdrS".utf8) + [0x0f, 2])
    set(0x211, [1])
    set(0x24c, (0..<4).map { UInt8((payload.count >> ($0 * 8)) & 0xff) })
    return image + payload
}
