import Configuration
import Foundation
import LibC
import Ouroboros
import SystemPackage

/// Where the gateway's configuration comes from: flags, then the environment, then the file, then defaults.
package struct GatewaySources: Sendable {
    /// What a key is set to, and by whom.
    struct Setting: Sendable {
        let key: GatewayKey
        let value: String?
        let origin: String
        /// It says something else than its default.
        var isGiven: Bool { value != key.defaultValue }

        func refused(_ reason: String) -> OuroborosError {
            OuroborosError(
                .invalidConfiguration, "“\(key.rawValue)” (\(origin)) is “\(value ?? "")”: \(reason)")
        }
    }

    private struct Source: Sendable {
        let provider: any ConfigProvider
        let origin: @Sendable (GatewayKey) -> String
    }

    private let sources: [Source]

    package init(
        flags: [GatewayKey: String], environment: [String: String] = [:], file path: String? = nil
    ) async throws {
        let values = flags.map {
            (AbsoluteConfigKey([$0.rawValue]), ConfigValue(.string($1), isSecret: false))
        }
        var sources = [
            Source(
                provider: InMemoryProvider(values: Dictionary(uniqueKeysWithValues: values)),
                origin: { "flag --\($0.rawValue)" }),
            try Self.environment(environment),
        ]
        if let path {
            sources.append(try await Self.file(path))
        }
        self.sources = sources
    }

    func setting(_ key: GatewayKey) throws -> Setting {
        for source in sources {
            if let value = try Self.value(of: key, in: source) {
                return Setting(key: key, value: value, origin: source.origin(key))
            }
        }
        return Setting(key: key, value: key.defaultValue, origin: "default")
    }

    /// Nil when the source does not set the key; a file's numbers and strings are both taken.
    private static func value(of key: GatewayKey, in source: Source) throws -> String? {
        let types: [ConfigType] =
            switch key.kind {
            case .text: [.string]
            case .list: [.stringArray, .string]
            case .number: [.int, .string]
            case .time: [.string, .double]
            case .yesOrNo: [.bool, .string]
            }
        let name = AbsoluteConfigKey([key.rawValue])
        for type in types {
            guard let result = try? source.provider.value(forKey: name, type: type) else { continue }
            switch result.value?.content {
            case nil: return nil
            case .string(let text): return text
            case .int(let number): return "\(number)"
            case .double(let number): return "\(number)"
            case .stringArray(let items): return items.joined(separator: ",")
            case .bool(let answer): return "\(answer)"
            default: continue
            }
        }
        throw OuroborosError(
            .invalidConfiguration,
            "“\(key.rawValue)” (\(source.origin(key))) is of the wrong type: \(key.kind.description)")
    }

    // MARK: The environment and the file

    private static func environment(_ variables: [String: String]) throws -> Source {
        let known = Set(GatewayKey.allCases.map(\.environmentName))
        for name in variables.keys.sorted()
        where name.hasPrefix(GatewayKey.environmentPrefix) && !known.contains(name) {
            throw OuroborosError(
                .invalidConfiguration,
                "the environment's “\(name)” is no key of the gateway's: see `ouroboros help gateway`")
        }
        let provider = EnvironmentVariablesProvider(environmentVariables: variables)
            .prefixKeys(with: ["ouroboros", "gateway"])
        return Source(provider: provider, origin: { "environment \($0.environmentName)" })
    }

    private static func file(_ path: String) async throws -> Source {
        // The parsers ask of each key whether it is a secret, which tells which keys there are.
        let keys = Locked<Set<String>>([])
        let note: @Sendable (String) -> Bool = { key in
            keys.withLock { _ = $0.insert(key) }
            return false
        }
        let provider: any ConfigProvider
        do {
            switch FilePath(path).extension {
            case "json":
                provider = try await FileProvider<JSONSnapshot>(
                    parsingOptions: .init(secretsSpecifier: .dynamic { key, _ in note(key) }),
                    filePath: FilePath(path))
                try noteEmptyKeys(of: path, note)
            case "yaml", "yml":
                provider = try await FileProvider<YAMLSnapshot>(
                    parsingOptions: .init(secretsSpecifier: .dynamic { key, _ in note(key) }),
                    filePath: FilePath(path))
            default:
                throw OuroborosError(.invalidConfiguration, "its name ends in neither .json nor .yaml")
            }
        } catch {
            // The parser of JSON buries its one sentence.
            let text = (error as NSError).userInfo["NSDebugDescription"] as? String ?? "\(error)"
            let reason = text.split(whereSeparator: \.isNewline).joined(separator: " ")
            throw OuroborosError(.invalidConfiguration, "cannot read the configuration “\(path)”: \(reason)")
        }
        let unknown = keys.withLock(\.self).subtracting(GatewayKey.allCases.map(\.rawValue)).sorted()
        guard unknown.isEmpty else {
            let names = unknown.map { "“\($0)”" }.joined(separator: ", ")
            throw OuroborosError(
                .invalidConfiguration,
                "“\(path)” has \(unknown.count == 1 ? "a key" : "keys") that the gateway does not know: \(names)"
            )
        }
        return Source(provider: provider, origin: { _ in "file “\(path)”" })
    }

    /// JSON's null and empty objects hold no value, so that the parser does not ask about their keys.
    private static func noteEmptyKeys(of path: String, _ note: (String) -> Bool) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        for (key, value) in object ?? [:] where value is NSNull || (value as? [String: Any])?.isEmpty == true
        {
            _ = note(key)
        }
    }
}

extension GatewayKey.Kind {
    var description: String {
        switch self {
        case .text: "write a string"
        case .list: "write a string, or a list of strings"
        case .number: "write a whole number"
        case .time: "write a time such as 500ms, 10s, 5m or 24h"
        case .yesOrNo: "write true or false"
        }
    }
}
