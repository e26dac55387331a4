extension UART {
    /// The registers, and the bytes on the wires.
    struct Registers: Codable, Sendable, Equatable {
        /// Bytes from the host that the FIFO had no room for yet.
        var arriving: [UInt8] = []
        /// Bytes that the guest has sent and the host has not taken.
        var leaving: [UInt8] = []
        /// Received bytes the guest has not read.
        var input: [UInt8] = []
        /// Bytes have been waiting: the FIFO's time-out counts as passed.
        var inputIsAged = false
        var interruptEnable: UInt8 = 0
        var lineControl: UInt8 = 0
        var modemControl: UInt8 = 0
        var scratch: UInt8 = 0
        var divisor: UInt16 = 1
        var fifoControl: UInt8 = 0
        /// The transmitter has become empty since the guest last asked why it was interrupted.
        var transmitterEmptied = false
        /// Bytes that the guest has sent in the interrupt it is in.
        var sentInInterrupt = 0
        /// The transmitter is not empty until its context has run.
        var transmitterRests = false

        static let inputCapacity = 16
        static let arrivingCapacity = 1024
        /// When so many are under way the transmitter is no longer empty: the guest waits, not we.
        static let leavingCapacity = 64 << 10
        /// What the guest may send in one interrupt. Linux' handler sends for as long as the transmitter is
        /// empty, with interrupts off: 4 KiB would keep others waiting for milliseconds.
        static let burst = 128

        /// A FIFO of 16 can be filled without another look.
        var hasRoomToLeave: Bool {
            !transmitterRests && leaving.count <= Self.leavingCapacity - 16
        }

        /// After a write: lets the transmitter rest if it has sent enough for one interrupt.
        mutating func restAfterBurst() {
            guard sentInInterrupt >= Self.burst else { return }
            sentInInterrupt = 0
            transmitterRests = true
            transmitterEmptied = false
        }

        /// The transmitter's context has run.
        mutating func endRest() {
            guard transmitterRests else { return }
            transmitterRests = false
            transmitterEmptied = hasRoomToLeave
        }

        private var isLoopback: Bool { modemControl & 0x10 != 0 }
        private var fifosAreOn: Bool { fifoControl & 1 != 0 }
        private var latchIsOpen: Bool { lineControl & 0x80 != 0 }

        /// Fills the FIFO from the wire. True if it got anything.
        mutating func takeArrivals() -> Bool {
            var taken = 0
            while taken < arriving.count, acceptsInput {
                input.append(arriving[taken])
                taken += 1
            }
            guard taken > 0 else { return false }
            arriving.removeFirst(taken)
            inputIsAged = true
            return true
        }

        /// RTS is up and the FIFO has room.
        private var acceptsInput: Bool {
            !isLoopback && modemControl & 2 != 0
                && input.count < (fifosAreOn ? Self.inputCapacity : 1)
        }

        /// Interrupt identification, bits 3:0, by priority.
        private var cause: UInt8 {
            if interruptEnable & 1 != 0, !input.isEmpty {
                let trigger = [1, 4, 8, 14][Int(fifoControl >> 6)]
                return fifosAreOn && input.count < trigger && inputIsAged ? 0xc : 4
            }
            if interruptEnable & 2 != 0, transmitterEmptied { return 2 }
            return 1
        }

        /// OUT2 gates the line on PCs.
        var isInterrupting: Bool { cause & 1 == 0 && modemControl & 8 != 0 && !isLoopback }

        mutating func read(_ register: UInt8) -> UInt8 {
            switch register {
            case 0:
                if latchIsOpen { return UInt8(truncatingIfNeeded: divisor) }
                return input.isEmpty ? 0 : input.removeFirst()
            case 1:
                return latchIsOpen ? UInt8(truncatingIfNeeded: divisor >> 8) : interruptEnable
            case 2:
                let value = cause | (fifosAreOn ? 0xc0 : 0)
                if cause == 1 { sentInInterrupt = 0 }
                if cause == 2 { transmitterEmptied = false }
                return value
            case 3: return lineControl
            case 4: return modemControl
            case 5: return (hasRoomToLeave ? 0x60 : 0) | (input.isEmpty ? 0 : 1)
            case 6:
                if isLoopback {
                    let control = modemControl
                    return (control & 2) << 3 | (control & 1) << 5 | (control & 4) << 4
                        | (control & 8) << 4
                }
                // Carrier, data set ready, clear to send.
                return 0xb0
            default: return scratch
            }
        }

        mutating func write(_ register: UInt8, _ value: UInt8) {
            switch register {
            case 0:
                if latchIsOpen {
                    divisor = divisor & 0xff00 | UInt16(value)
                } else if isLoopback {
                    if input.count < Self.inputCapacity { input.append(value) }
                    transmitterEmptied = true
                } else {
                    // A guest that does not look whether there is room loses what it sends.
                    if leaving.count < Self.leavingCapacity { leaving.append(value) }
                    transmitterEmptied = hasRoomToLeave
                    // A guest that looks at each byte itself has its console's log to write, with
                    // interrupts off anyway.
                    if interruptEnable & 2 != 0 { sentInInterrupt &+= 1 }
                }
            case 1:
                if latchIsOpen {
                    divisor = divisor & 0xff | UInt16(value) << 8
                } else {
                    // Turning the transmitter's interrupt on raises it: the holding register is empty.
                    if value & 2 != 0, interruptEnable & 2 == 0, hasRoomToLeave {
                        transmitterEmptied = true
                    }
                    interruptEnable = value & 0xf
                }
            case 2:
                if value & 2 != 0 || (value ^ fifoControl) & 1 != 0 { input = [] }
                fifoControl = value & 0xc9
            case 3: lineControl = value
            case 4: modemControl = value & 0x1f
            case 7: scratch = value
            default: break
            }
        }
    }
}
