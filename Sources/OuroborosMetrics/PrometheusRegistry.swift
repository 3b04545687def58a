import CoreMetrics
import LibC

/// A backend of swift-metrics that keeps all values in memory and renders them as Prometheus text.
///
/// Counters stay counters; meters, and recorders that do not aggregate, become gauges; recorders that aggregate
/// and timers become histograms, timers in seconds. Characters that Prometheus does not take in names become `_`.
public final class PrometheusRegistry: Sendable {
    /// What the rendered text is, for HTTP's Content-Type.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private struct Family {
        let type: String
        var series: [Labels: any Series] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var help: [String: String] = [:]
    }

    private let state = Locked(State())
    private let buckets: [Double]

    /// `buckets` are the histograms' upper bounds, ascending.
    public init(buckets: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    {
        self.buckets = buckets
    }

    /// What people read beside a metric.
    public func describe(_ name: String, _ help: String) {
        state.withLock { $0.help[Labels.name(name)] = help }
    }

    /// All metrics, in the order of their names.
    public func render() -> String {
        let (families, help) = state.withLock { ($0.families, $0.help) }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            if let help = help[name] {
                text += "# HELP \(name) \(Labels.escaped(help, quotes: false))\n"
            }
            text += "# TYPE \(name) \(family.type)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.render(name, labels, into: &text)
            }
        }
        return text
    }

    /// The series of a name and labels. One whose name is taken by another type counts, and is not rendered.
    private func series<Kind: Series>(
        _ label: String, _ dimensions: [(String, String)], _ make: () -> Kind
    ) -> Kind {
        let (name, labels) = (Labels.name(label), Labels(dimensions))
        return state.withLock { state in
            var family = state.families[name] ?? Family(type: Kind.type)
            guard family.type == Kind.type else { return make() }
            if let known = family.series[labels] as? Kind {
                return known
            }
            let new = make()
            family.series[labels] = new
            state.families[name] = family
            return new
        }
    }

    private func remove(_ handler: AnyObject) {
        state.withLock { state in
            for (name, family) in state.families {
                for (labels, series) in family.series where series === handler {
                    state.families[name]?.series[labels] = nil
                }
            }
        }
    }
}

extension PrometheusRegistry: MetricsFactory {
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions) { CounterSeries() }
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions) { CounterSeries() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions) { GaugeSeries() }
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate {
            series(label, dimensions) { HistogramSeries(buckets) }
        } else {
            series(label, dimensions) { GaugeSeries() }
        }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions) { HistogramSeries(buckets) }
    }

    public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}
