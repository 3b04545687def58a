import Ouroboros

extension GatewayStore {
    /// A store that is there: only `device add` and `device import` make one. Its keys are not asked for.
    package static func open(_ path: String) throws -> GatewayStore {
        try PrivateFile.check(path)
        return try GatewayStore(path: path)
    }

    /// A store that is there, whose keys can be read.
    package static func open(_ path: String, sealedUnder key: SecretKey?) throws -> GatewayStore {
        try PrivateFile.check(path)
        let store = try GatewayStore(path: path, keyEncryptionKey: key)
        try store.requireKeys()
        return store
    }
}
