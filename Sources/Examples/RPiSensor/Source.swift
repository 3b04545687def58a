import ExampleKit
import Ouroboros

/// Where readings come from. For a sensor of your own write one of these: `read()` talks to the I2C bus through
/// `/dev/i2c-1`, to a GPIO line, or to a library, and returns what is to be sent.
protocol Source: Sendable {
    func read() throws -> [UInt8]
}

/// A number in a file. That is how Linux shows the sensors it has a driver for:
/// - I2C and SPI (BME280, SHT31, ADS1115, …): `/sys/bus/iio/devices/iio:device0/in_temp_input`
/// - 1-Wire (DS18B20): `/sys/bus/w1/devices/28-…/temperature`
/// - the processor itself: `/sys/class/thermal/thermal_zone0/temp`
/// - a GPIO line that is exported: `/sys/class/gpio/gpio17/value`
struct FileSource: Source {
    let path: String
    /// Most drivers count thousandths.
    let scale: Double

    func read() throws -> [UInt8] {
        guard let bytes = ExampleKit.file(path, atMost: 4096),
            let word = bytes.withUnsafeBytes({ String(decoding: $0, as: UTF8.self) })
                .split(whereSeparator: \.isWhitespace).first,
            let number = Double(word)
        else {
            throw OuroborosError(.transport, "there is no number in “\(path)”")
        }
        return Array("{\"value\":\(number * scale)}".utf8)
    }
}

/// The processor's temperature, or, on a machine without one, its load.
func automaticSource() -> any Source {
    for zone in 0..<16 {
        let path = "/sys/class/thermal/thermal_zone\(zone)/temp"
        if ExampleKit.file(path, atMost: 64).map({ $0.count > 0 }) == true {
            return FileSource(path: path, scale: 0.001)
        }
    }
    return FileSource(path: "/proc/loadavg", scale: 1)
}
