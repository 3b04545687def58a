#!/bin/sh
# Prometheus' own tool reads the alert rules, their tests, and each query of the dashboard.
# That both name only series which a gateway exports is checked by MonitoringTests.swift.
set -eu
folder=docs/monitoring
out=build/monitoring
mkdir -p "$out"
promtool check rules "$folder/rules.yaml"
promtool test rules "$folder/rules_test.yaml"
alerts="$(grep -c 'alert: ' "$folder/rules.yaml")"
fired="$(grep -o 'alertname="Ouroboros[A-Za-z]*' "$folder/rules_test.yaml" | sort -u | wc -l)"
[ "$alerts" -eq "$fired" ] || {
    echo "$alerts alerts, and tests for $fired of them" >&2
    exit 1
}
# Each query as a rule, as promtool reads nothing else; Grafana's variables filled in.
jq '{groups: [{name: "dashboard", rules: [.panels[].targets[] |
    {record: "dashboard:query", labels: {legend: .legendFormat},
     expr: (.expr | gsub("\\$__rate_interval"; "5m") | gsub("\\$(job|instance)"; ".*"))}]}]}' \
    "$folder/ouroboros.json" >"$out/dashboard.yaml"
# Rules of one name and labels are no fault here.
promtool check rules --lint=none "$out/dashboard.yaml"
# No two panels share a number.
jq -e '[.panels[].id] | length == (unique | length)' "$folder/ouroboros.json" >/dev/null
