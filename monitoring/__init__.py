"""
Dashboards, recording rules and alerts as data, and the files that Grafana and Prometheus read of them.

A board is rows of panels, a panel is queries: `boards/`. Objectives are in `slo`, alerts in `alerts`.
`scripts/dashboards` writes the files.
"""
