import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// What a setting says, as a value; what it may not say is refused with its key and where it comes from.
extension GatewaySources.Setting {
    func text() throws -> String? {
        guard let value else { return nil }
        guard !value.isEmpty else { throw refused("it is empty: leave it out, or name something") }
        return value
    }

    func address() throws -> HostAndPort? {
        guard let value else { return nil }
        do {
            return try HostAndPort(parsing: value)
        } catch {
            throw refused("write HOST:PORT or [IPV6]:PORT, such as 127.0.0.1:5700")
        }
    }

    func endpoints() throws -> [EndpointName] {
        let names = (value ?? "").split(separator: ",", omittingEmptySubsequences: false)
        do {
            return try names.map { name in
                let name = name.drop { $0 == " " }.prefix { $0 != " " }
                return try EndpointName(parsing: String(name))
            }
        } catch {
            throw refused("write HOST:PORT or tcp://HOST:PORT, such as 0.0.0.0:5700; several with commas")
        }
    }

    /// This setting's file, or the other's variable of the environment.
    func secret(or environment: Self) throws -> SecretSource? {
        let option = key.rawValue.split(separator: "-").dropLast().joined(separator: "-")
        return try .given(file: text(), environment: environment.text(), option: option)
    }

    func hostNames() throws -> [String] {
        guard let names = try text()?.split(separator: ",") else { return [] }
        return try names.map { name in
            let name = name.drop { $0 == " " }
            guard !name.isEmpty, !name.contains(where: { " :/[]".contains($0) }) else {
                throw refused("write a host's name without a port, such as gateway.lan; several with commas")
            }
            return String(name)
        }
    }

    func number(_ range: ClosedRange<Int>) throws -> Int {
        guard let number = value.flatMap({ Int($0) }), range.contains(number) else {
            throw refused("write a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func time() throws -> Duration {
        guard let time = value.flatMap(Duration.init(written:)) else {
            throw refused("write a time such as 500ms, 10s, 5m or 24h")
        }
        return time
    }

    func milliseconds(atLeast least: Int64) throws -> UInt64 {
        let time = try time().milliseconds
        guard time >= least else { throw refused("write a time of \(least)ms or more") }
        return UInt64(time)
    }

    func yesOrNo() throws -> Bool {
        switch value {
        case "true", "yes", "1": true
        case "false", "no", "0": false
        default: throw refused("write true or false")
        }
    }

    func level() throws -> Logger.Level {
        guard let level = value.flatMap(Logger.Level.init(rawValue:)) else {
            throw refused("write trace, debug, info, notice, warning or error")
        }
        return level
    }

    /// Nil when it is not set; what `parse` throws is told with the key.
    func parsed<Value>(_ parse: (String) throws -> Value) throws -> Value? {
        do {
            return try text().map(parse)
        } catch let error as OuroborosError {
            throw refused(error.message)
        }
    }
}
