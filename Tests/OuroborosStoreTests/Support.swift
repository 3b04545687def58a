import Foundation

/// A directory that goes away.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/ouroboros-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String) -> String { path + "/" + name }

    func mode(of name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: file(name))[.posixPermissions] as? Int
    }

    func setMode(_ mode: Int, of name: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file(name))
    }

    /// Every byte of every file.
    func contents() throws -> [Data] {
        try FileManager.default.contentsOfDirectory(atPath: path).map {
            try Data(contentsOf: URL(fileURLWithPath: file($0)))
        }
    }
}
