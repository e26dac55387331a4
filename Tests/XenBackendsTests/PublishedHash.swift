/// Microsoft's vectors for receive side scaling ("Verifying the RSS Hash Calculation").
enum PublishedHash {
    static let key: [UInt8] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0,
        0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2,
        0x0c,
        0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ]

    struct Vector {
        var source: [UInt8]
        var destination: [UInt8]
        var ports: (source: UInt16, destination: UInt16)
        var addressesOnly: UInt32
        var withPorts: UInt32
    }

    static let vectors: [Vector] = [
        Vector(
            source: [66, 9, 149, 187], destination: [161, 142, 100, 80], ports: (2794, 1766),
            addressesOnly: 0x323e_8fc2, withPorts: 0x51cc_c178),
        Vector(
            source: [199, 92, 111, 2], destination: [65, 69, 140, 83], ports: (14230, 4739),
            addressesOnly: 0xd718_262a, withPorts: 0xc626_b0ea),
        Vector(
            source: [24, 19, 198, 95], destination: [12, 22, 207, 184], ports: (12898, 38024),
            addressesOnly: 0xd2d0_a5de, withPorts: 0x5c2b_394a),
        Vector(
            source: [38, 27, 205, 30], destination: [209, 142, 163, 6], ports: (48228, 2217),
            addressesOnly: 0x8298_9176, withPorts: 0xafc7_327f),
        Vector(
            source: [153, 39, 163, 191], destination: [202, 188, 127, 2], ports: (44251, 1303),
            addressesOnly: 0x5d18_09c5, withPorts: 0x10e8_28a2),
        // 3ffe:2501:200:1fff::7 to 3ffe:2501:200:3::1.
        Vector(
            source: [0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7],
            destination: [0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1],
            ports: (2794, 1766), addressesOnly: 0x2cc1_8cd5, withPorts: 0x4020_7d3d),
        // 3ffe:501:8::260:97ff:fe40:efab to ff02::1.
        Vector(
            source: [
                0x3f, 0xfe, 0x05, 0x01, 0, 8, 0, 0, 2, 0x60, 0x97, 0xff, 0xfe, 0x40, 0xef, 0xab,
            ],
            destination: [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            ports: (14230, 4739), addressesOnly: 0x0f0c_461c, withPorts: 0xdde5_1bbf),
    ]
}
