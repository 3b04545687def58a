/// What the gateway asks of the process that it is in.
package struct GatewayProcess: Sendable {
    /// Writes lines to standard output, and returns once they are out.
    let print: @Sendable ([UInt8]) throws -> Void
    /// Ends the process: the gateway is to end, and what it waits for takes no more.
    let giveUp: @Sendable (_ reason: String) -> Void

    package init(
        print: @escaping @Sendable ([UInt8]) throws -> Void,
        giveUp: @escaping @Sendable (_ reason: String) -> Void
    ) {
        self.print = print
        self.giveUp = giveUp
    }
}
