"""Writes what people read from dwh_gold: KPI tools, documentation, report. Computes no KPI."""
