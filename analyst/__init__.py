"""What people read, from dwh_gold: KPI tools, documentation, report, baseline. Computes no KPI."""
