import GRDB
import LibC
import Ouroboros

extension GatewayStore {
    /// Copies the store as it is now to a new file, readable by its owner alone; gateways go on meanwhile.
    public func backUp(to path: String) throws {
        try PrivateFile.write([], toNew: path)
        do {
            try lists.copy(to: path)
            try PrivateFile.syncDirectory(of: path)
        } catch {
            unlink(path)
            throw error
        }
    }
}

extension StoreReader {
    fileprivate func copy(to path: String) throws {
        do {
            let copy = try DatabaseQueue(path: path)
            try queue.backup(to: copy)
            try copy.close()
        } catch {
            throw StoreDatabase.translate(error, path)
        }
    }
}
