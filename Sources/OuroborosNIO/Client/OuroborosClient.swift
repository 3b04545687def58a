import NIOCore
import Ouroboros

/// Connects a device to its gateway.
public enum OuroborosClient {
    /// Runs `body` with a connection, which is closed when `body` returns and ends when it throws.
    ///
    /// An evolving credential needs a `store`, which is called on the connection's event loop.
    public static func withConnection<Result>(
        to server: Endpoint, credential: Credential, store: (any CredentialStore)? = nil,
        configuration: ClientConfiguration = .init(), isolation: isolated (any Actor)? = #isolation,
        _ body: (OuroborosConnection) async throws -> sending Result
    ) async throws -> sending Result {
        try await run(
            try await connect(
                to: server, credential: credential, store: store, configuration: configuration),
            isolation: isolation, body)
    }

    private static func run<Result>(
        _ connection: OuroborosConnection, isolation: isolated (any Actor)?,
        _ body: (OuroborosConnection) async throws -> sending Result
    ) async throws -> sending Result {
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.closeAtOnce()
            throw error
        }
    }

    /// Connects; the connection has to be closed.
    public static func connect(
        to server: Endpoint, credential: Credential, store: (any CredentialStore)? = nil,
        configuration: ClientConfiguration = .init()
    ) async throws -> OuroborosConnection {
        try await connect(
            to: ServerPlace(server), credential: credential, store: store, configuration: configuration)
    }

    private static func connect(
        to server: ServerPlace, credential: Credential, store: (any CredentialStore)?,
        configuration: ClientConfiguration
    ) async throws -> OuroborosConnection {
        try Task.checkCancellation()
        let engine = try ClientEngine(
            server: server, credential: credential, store: store, configuration: configuration)
        return try await connect(engine)
    }

    static func connect(_ engine: ClientEngine) async throws -> OuroborosConnection {
        try await withTaskCancellationHandler {
            do {
                try await engine.connect().get()
                try Task.checkCancellation()
            } catch {
                // Nothing is left of it when this returns.
                _ = try? await engine.close(atOnce: true).get()
                try Task.checkCancellation()
                throw error
            }
        } onCancel: {
            _ = engine.close(atOnce: true)
        }
        return OuroborosConnection(engine)
    }

    /// The same to a name: it is tried with all its addresses, and looked up anew whenever nobody answers and each five
    /// minutes, so that a server that moved under its name is found.
    public static func withConnection<Result>(
        to server: EndpointName, credential: Credential, store: (any CredentialStore)? = nil,
        configuration: ClientConfiguration = .init(), isolation: isolated (any Actor)? = #isolation,
        _ body: (OuroborosConnection) async throws -> sending Result
    ) async throws -> sending Result {
        try await run(
            try await connect(
                to: server, credential: credential, store: store, configuration: configuration),
            isolation: isolation, body)
    }

    /// Connects to a name; the connection has to be closed.
    public static func connect(
        to server: EndpointName, credential: Credential, store: (any CredentialStore)? = nil,
        configuration: ClientConfiguration = .init()
    ) async throws -> OuroborosConnection {
        try await connect(
            to: server, lookup: SystemLookup.shared, credential: credential, store: store,
            configuration: configuration)
    }

    /// With a look-up of one's own.
    static func connect(
        to server: EndpointName, over transport: Transport? = nil, lookup: any NameLookup,
        credential: Credential, store: (any CredentialStore)? = nil,
        configuration: ClientConfiguration = .init()
    ) async throws -> OuroborosConnection {
        let transport = transport ?? (server.isStream ? .tcp : .udp)
        return try await connect(
            to: ServerPlace(transport, server.place, lookup), credential: credential, store: store,
            configuration: configuration)
    }

    /// The same, over UDP.
    public static func withConnection<Result>(
        to server: SocketAddress, credential: Credential, store: (any CredentialStore)? = nil,
        configuration: ClientConfiguration = .init(), isolation: isolated (any Actor)? = #isolation,
        _ body: (OuroborosConnection) async throws -> sending Result
    ) async throws -> sending Result {
        try await withConnection(
            to: .udp(server), credential: credential, store: store, configuration: configuration,
            isolation: isolation, body)
    }

    /// The same, over UDP.
    public static func connect(
        to server: SocketAddress, credential: Credential, store: (any CredentialStore)? = nil,
        configuration: ClientConfiguration = .init()
    ) async throws -> OuroborosConnection {
        try await connect(
            to: .udp(server), credential: credential, store: store, configuration: configuration)
    }
}
