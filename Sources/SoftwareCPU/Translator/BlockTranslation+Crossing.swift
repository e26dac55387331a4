internal import CEngine
internal import X86

// Instructions that reach into the next page: see `CrossingBlocks`.

extension BlockTranslation {
    /// At the entry: looks whether the bytes are what they were.
    mutating func emitCodeCheck() {
        if code.isEmpty { return }
        for part in code {
            assembler.move(.r10, constant: part.address)
            var offset = 0
            while offset < part.bytes.count {
                let left = part.bytes.count &- offset
                let count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1
                compare(part.bytes[offset..<(offset &+ count)], at: offset)
                codeChanges.append(assembler.jump(.notEqual))
                offset &+= count
            }
        }
    }

    /// Where they are not, the block is looked up again, and has not been run.
    mutating func emitCodeChange() {
        if codeChanges.isEmpty { return }
        for patch in codeChanges { assembler.bind(patch) }
        addToBudget(prepaid)
        let start = Int(unsafe op(0).pointee.pageOffset)
        exits.append((Misses(Patches(assembler.jump())), .lookUp(start, segment: 0), true))
    }

    /// CMP of bytes at R10; eight of them by way of R11.
    private mutating func compare(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        let place = HostPlace.memory(
            HostAddress(base: .r10, displacement: Int32(truncatingIfNeeded: offset)))
        if bytes.count == 8 {
            let value = bytes.reversed().reduce(0 as UInt64) { $0 &<< 8 | UInt64($1) }
            assembler.move(.r11, constant: value)
            assembler.instruction(HostOpcode(0x3b, wide: true), register: 11, place)
            return
        }
        var opcode = HostOpcode(bytes.count == 1 ? 0x80 : 0x81)
        opcode.hasOperandSizePrefix = bytes.count == 2
        assembler.instruction(opcode, register: 7, place)
        for byte in bytes { assembler.byte(byte) }
    }
}

/// Translates the block of an instruction that crosses pages, from the bytes that were kept of it.
/// False: there is no room.
func translateCrossing(
    _ engine: EngineContext, _ translator: Translator,
    _ header: UnsafeMutablePointer<DecodedInstruction>, _ linear: UInt64
) -> Bool {
    let bytes = unsafe engine.crossings.bytes(of: header)
    let start = unsafe Int(header[1].pageOffset)
    let length = unsafe Int(header[1].length)
    guard start < 4096, bytes.count == 15 else { return true }
    // As in its page, with what follows.
    var page = [UInt8](repeating: 0, count: start)
    page += bytes
    let code = unsafe engine.crossings.parts(
        of: header, hostBase: engine.hostBase, length: length)
    return unsafe page.withUnsafeBytes {
        unsafe translator.translateCrossing(
            header, code: code, bytes: $0, linear: linear, features: engine.features)
    }
}
