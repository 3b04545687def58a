import CoreMetrics
import OuroborosMetrics
import Testing

@Suite struct PrometheusTests {
    @Test func countersGaugesAndHistograms() {
        let registry = PrometheusRegistry(buckets: [0.1, 1])
        registry.describe("requests_total", "All of\nthem \\ \"here\".")
        Counter(label: "requests_total", dimensions: [("b", "2"), ("a", "1")], factory: registry)
            .increment(by: 3)
        Counter(label: "requests_total", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment()
        Counter(label: "requests_total", factory: registry).increment()
        FloatingPointCounter(label: "seconds_total", factory: registry).increment(by: 1.5)
        Meter(label: "temperature", factory: registry).set(-2.25)
        let timer = Timer(label: "round_trip_seconds", factory: registry)
        timer.recordMilliseconds(50)
        timer.recordMilliseconds(100)
        timer.recordMilliseconds(500)
        timer.recordSeconds(2)
        #expect(
            registry.render() == """
                # HELP requests_total All of\\nthem \\\\ "here".
                # TYPE requests_total counter
                requests_total 1
                requests_total{a="1",b="2"} 4
                # TYPE round_trip_seconds histogram
                round_trip_seconds_bucket{le="0.1"} 2
                round_trip_seconds_bucket{le="1"} 3
                round_trip_seconds_bucket{le="+Inf"} 4
                round_trip_seconds_sum 2.65
                round_trip_seconds_count 4
                # TYPE seconds_total counter
                seconds_total 1.5
                # TYPE temperature gauge
                temperature -2.25

                """)
    }

    @Test func namesAndValuesAreMadeValid() {
        let registry = PrometheusRegistry()
        let odd = [("le", "x"), ("1 größe", "a\"b\\c\nd")]
        Counter(label: "9 lives.total", dimensions: odd, factory: registry).increment()
        #expect(
            registry.render() == """
                # TYPE _9_lives_total counter
                _9_lives_total{_1_gr__e="a\\"b\\\\c\\nd",le_="x"} 1

                """)
    }

    @Test func aNameHasOneType() {
        let registry = PrometheusRegistry()
        Counter(label: "x", factory: registry).increment()
        Meter(label: "x", factory: registry).set(7)
        #expect(registry.render() == "# TYPE x counter\nx 1\n")
    }

    @Test func whatIsDestroyedIsGone() {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "x", factory: registry)
        counter.increment()
        counter.destroy()
        #expect(registry.render() == "")
    }

    @Test func valuesThatAreNoNumbers() {
        let registry = PrometheusRegistry()
        for (name, value) in [("a", Double.nan), ("b", .infinity), ("c", -.infinity), ("d", 1e20)] {
            Meter(label: name, factory: registry).set(value)
        }
        let values = registry.render().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(values == ["a NaN", "b +Inf", "c -Inf", "d 1e+20"])
    }

    @Test func countsFromManyTasks() async {
        let registry = PrometheusRegistry()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 { Counter(label: "x", factory: registry).increment() }
                }
            }
        }
        #expect(registry.render() == "# TYPE x counter\nx 8000\n")
    }
}
