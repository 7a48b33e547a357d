"""From dwh_gold to what people read: shows what gold holds, computes no KPI of its own."""
