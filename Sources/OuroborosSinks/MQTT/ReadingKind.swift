/// What the name of a reading says of its unit, in Home Assistant's words. A name that says none gets none: a
/// temperature may be in either scale.
struct ReadingKind: Equatable {
    let unit: String?
    let deviceClass: String?
    /// A count that grows, and no measurement.
    let isTotal: Bool

    private init(_ unit: String?, _ deviceClass: String?, isTotal: Bool = false) {
        self.unit = unit
        self.deviceClass = deviceClass
        self.isTotal = isTotal
    }

    /// By the last word of the name that says one.
    init(of name: String) {
        let words = name.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
        guard let kind = words.reversed().lazy.compactMap({ Self.kinds[$0] }).first else {
            self.init(nil, nil)
            return
        }
        // What is in percent says by another word what it is.
        guard kind.unit == "%", let subject = words.lazy.compactMap({ Self.shares[$0] }).first else {
            self = kind
            return
        }
        self.init("%", subject)
    }

    private static let kinds: [String: ReadingKind] = [
        "celsius": .init("°C", "temperature"), "fahrenheit": .init("°F", "temperature"),
        "kelvin": .init("K", "temperature"), "humidity": .init("%", "humidity"), "percent": .init("%", nil),
        "hpa": .init("hPa", "pressure"), "kpa": .init("kPa", "pressure"), "pascal": .init("Pa", "pressure"),
        "mbar": .init("mbar", "pressure"), "volt": .init("V", "voltage"), "volts": .init("V", "voltage"),
        "millivolts": .init("mV", "voltage"), "mv": .init("mV", "voltage"), "amperes": .init("A", "current"),
        "amps": .init("A", "current"), "milliamps": .init("mA", "current"), "ma": .init("mA", "current"),
        "watt": .init("W", "power"), "watts": .init("W", "power"), "kw": .init("kW", "power"),
        "wh": .init("Wh", "energy", isTotal: true), "kwh": .init("kWh", "energy", isTotal: true),
        "lux": .init("lx", "illuminance"), "lx": .init("lx", "illuminance"), "ppm": .init("ppm", nil),
        "co2": .init("ppm", "carbon_dioxide"), "dbm": .init("dBm", "signal_strength"),
        "rssi": .init("dBm", "signal_strength"), "hz": .init("Hz", "frequency"),
        "hertz": .init("Hz", "frequency"), "bytes": .init("B", "data_size"), "kb": .init("kB", "data_size"),
        "mb": .init("MB", "data_size"), "seconds": .init("s", "duration"),
        "minutes": .init("min", "duration"),
        "hours": .init("h", "duration"), "metres": .init("m", "distance"), "meters": .init("m", "distance"),
        "mm": .init("mm", "distance"), "cm": .init("cm", "distance"),
    ]

    private static let shares = ["humidity": "humidity", "battery": "battery", "moisture": "moisture"]
}
