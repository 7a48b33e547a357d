"""From a page of Python per dashboard to the JSON that Grafana reads: python -m grafana."""
