/// Where one end of a paravirtual device is in its life (xen/include/public/io/xenbus.h).
enum XenbusState: String, Sendable, Codable {
    case unknown = "0"
    case initialising = "1"
    /// The backend has said what it can.
    case initWait = "2"
    /// The frontend has said where its rings are.
    case initialised = "3"
    case connected = "4"
    case closing = "5"
    case closed = "6"
    case reconfiguring = "7"
    case reconfigured = "8"
}
