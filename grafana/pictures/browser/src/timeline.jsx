// State timelines and heat maps: @grafana/ui lacks them, so they are drawn after Grafana's rules.
import { getFieldDisplayName } from '@grafana/data';
import { VizLegend } from '@grafana/ui';

import { ZONE } from './query.js';

const LEFT = 90;
const TICKS = 22;
const DAY = 86400000;

/** Boxes of one lane: a state lasts until it changes, and a null ends it. */
function states(field, times, end) {
  const boxes = [];
  for (let i = 0; i < times.length; i++) {
    const value = field.values[i];
    if (value == null) continue;
    let next = i + 1;
    while (next < times.length && [undefined, value].includes(field.values[next])) next++;
    boxes.push({ from: times[i], to: times[next] ?? end, ...field.display(value) });
    i = next - 1;
  }
  return boxes;
}

/** Boxes of one lane: one of the same width around each value. */
function blocks(field, times, share) {
  const steps = times.slice(1).map((time, i) => time - times[i]);
  const half = ((steps.length ? Math.min(...steps) : DAY) * share) / 2;
  return times
    .map((time, i) => [time, field.values[i]])
    .filter(([, value]) => value != null)
    .map(([time, value]) => ({ from: time - half, to: time + half, ...field.display(value) }));
}

function Ticks({ from, to, width, place, y, theme }) {
  const count = Math.max(2, Math.floor((width - LEFT) / 110));
  const form =
    to - from > 2 * DAY
      ? { month: '2-digit', day: '2-digit' }
      : { hour: '2-digit', minute: '2-digit' };
  return Array.from({ length: count + 1 }, (_, i) => {
    const time = from + ((to - from) * i) / count;
    const anchor = i === 0 ? 'start' : i === count ? 'end' : 'middle';
    const fill = theme.colors.text.primary;
    return (
      <text key={i} x={place(time)} y={y} fontSize={12} textAnchor={anchor} fill={fill}>
        {new Date(time).toLocaleString('en-GB', { timeZone: ZONE, ...form })}
      </text>
    );
  });
}

export function Timeline({ data, width, height, timeRange, options, theme, isHeatMap }) {
  const [time, ...all] = data[0].fields;
  const perPage = options.perPage ?? 20;
  const series = perPage > 0 ? all.slice(0, perPage) : all;
  const pages = perPage > 0 ? Math.ceil(all.length / perPage) : 1;
  const below = TICKS + (options.legend?.showLegend ? 28 : 0) + (pages > 1 ? 32 : 0);
  const lane = (height - below) / Math.max(series.length, 1);
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const place = (t) =>
    Math.min(width, Math.max(LEFT, LEFT + ((t - from) / (to - from)) * (width - LEFT)));
  const seen = {};
  const rows = series.map((field, row) => {
    const high = lane * options.rowHeight;
    const top = row * lane + (lane - high) / 2;
    const boxes = isHeatMap
      ? blocks(field, time.values, options.colWidth)
      : states(field, time.values, to);
    return boxes.map((box, i) => {
      seen[box.text] = box.color;
      const [left, right] = [place(box.from), place(box.to)];
      return (
        <g key={`${row} ${i}`}>
          <rect x={left} y={top} width={right - left} height={high} fill={box.color} />
          {!isHeatMap && right - left > 70 && (
            <text
              x={left + 4}
              y={top + high / 2 + 4}
              fontSize={12}
              fill={theme.colors.getContrastText(box.color, 4.5)}
            >
              {box.text}
            </text>
          )}
        </g>
      );
    });
  });
  const legend = Object.entries(seen).map(([label, color]) => ({ label, color, yAxis: 1 }));
  return (
    <div>
      <svg width={width} height={height - below + TICKS} style={{ display: 'block' }}>
        {series.map((field, i) => (
          <text
            key={i}
            x={LEFT - 6}
            y={i * lane + lane / 2 + 4}
            fontSize={12}
            textAnchor="end"
            fill={theme.colors.text.primary}
          >
            {getFieldDisplayName(field, data[0])}
          </text>
        ))}
        {rows}
        <Ticks {...{ from, to, width, place, theme }} y={height - below + 16} />
      </svg>
      {options.legend?.showLegend && !isHeatMap && (
        <VizLegend displayMode="list" placement="bottom" items={legend} />
      )}
      {pages > 1 && <div style={{ textAlign: 'center', fontSize: 12 }}>‹ 1 / {pages} ›</div>}
    </div>
  );
}
