internal import Vocabulary

extension XenFace {
    /// XENVER_* of xen/include/public/version.h.
    private enum VersionOperation: UInt64 {
        case version = 0
        case extraVersion = 1
        case compileInfo = 2
        case capabilities = 3
        case changeSet = 4
        case platformParameters = 5
        case features = 6
        case pageSize = 7
        case guestHandle = 8
    }

    /// What a PVH guest is told (xen/include/public/features.h): writable page tables, auto-translated
    /// physmap, callback vector, safe pvclock, and what concerns only other kinds of guests.
    private static let features: UInt32 =
        1 << 0 | 1 << 2 | 1 << 8 | 1 << 9 | 1 << 13 | 1 << 16

    /// xen_version(command, address).
    func version(
        _ command: UInt64, _ address: UInt64, _ arguments: HypercallMemory
    ) -> UInt64 {
        guard let operation = VersionOperation(rawValue: command) else {
            return XenError.noHypercall.result
        }
        func put(_ text: String, _ byteCount: Int) -> UInt64 {
            var bytes = Array(text.utf8.prefix(byteCount - 1))
            bytes += [UInt8](repeating: 0, count: byteCount - bytes.count)
            return arguments.write(address, bytes) ? 0 : XenError.fault.result
        }
        switch operation {
        case .version: return UInt64(XenVersion.number)
        case .extraVersion: return put(".0-martlet", 16)
        case .compileInfo:
            // xen_compile_info: compiler 64 bytes, by 16, domain 32, date 32.
            var bytes: [UInt8] = []
            for (text, byteCount) in [
                ("swift", 64), ("martlet", 16), ("martlet", 32), ("", 32),
            ] {
                let part = Array(text.utf8)
                bytes += part + [UInt8](repeating: 0, count: byteCount - part.count)
            }
            return arguments.write(address, bytes) ? 0 : XenError.fault.result
        case .capabilities: return put("hvm-3.0-x86_64", 1024)
        case .changeSet: return put("martlet", 64)
        case .platformParameters:
            let nothing = [UInt8](repeating: 0, count: Int(arguments.wordByteCount))
            return arguments.write(address, nothing) ? 0 : XenError.fault.result
        case .features:
            // xen_feature_info: submap 0, bits 4.
            guard let submap = arguments.read(address, byteCount: 4)?.integer(0, as: UInt32.self)
            else { return XenError.fault.result }
            return arguments.write(
                address &+ 4, integer: submap == 0 ? Self.features : 0)
                ? 0 : XenError.fault.result
        case .pageSize: return 4096
        case .guestHandle:
            return arguments.write(address, identifier)
                ? 0 : XenError.fault.result
        }
    }
}
