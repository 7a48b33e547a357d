"""Generates the JSON of Grafana's dashboards, each from one Python page: python -m grafana."""
