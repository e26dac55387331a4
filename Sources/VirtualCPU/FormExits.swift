/// How often instructions of one form left translated code for the interpreter.
public struct FormExits: Codable, Sendable, Equatable {
    /// The form as the instruction table has it.
    public var form: String
    /// Its handler runs always: the form is not translated, or not as it was used.
    public var handler: UInt64 = 0
    /// It is translated and could not finish: a TLB miss, a page with code, a device, a divisor of zero.
    public var slowPath: UInt64 = 0

    /// Both.
    public var count: UInt64 { handler &+ slowPath }

    public init(form: String) { self.form = form }

    private enum CodingKeys: String, CodingKey { case form, handler, slowPath }
}
