// One dashboard on one page, laid out as Grafana does: page.jsx?uid=…&theme=…&var-…=…
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  getPanelOptionsWithDefaults,
  locationUtil,
  renderMarkdown,
} from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, Icon, PanelChrome, ThemeContext } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { GeoMap } from './map.jsx';
import { plugins } from './options.js';
import { ZONE, ask, choose, chosen, frameOf, page, repeats, replace } from './query.js';
import { Timeline } from './timeline.jsx';
import { transform } from './transform.js';
import { Graph, Stat, Table } from './views.jsx';

const theme = createTheme({ colors: { mode: page.get('theme') ?? 'dark' } });
const VIEWS = {
  stat: Stat,
  table: Table,
  timeseries: Graph,
  geomap: GeoMap,
  'state-timeline': Timeline,
  'status-history': (given) => <Timeline {...given} isHeatMap />,
};
const SHOWN_EMPTY = ['stat', 'geomap']; // they draw their own text or an empty map
const [CELL, GAP] = [30, 8]; // pixels of a cell of the grid, and between two

/** Queries a panel and applies its transformations and overrides. */
async function load(panel, time, own) {
  const plugin = plugins[panel.type];
  if (!plugin) throw new Error(`a panel of the type ${panel.type} cannot be drawn`);
  const from = panel.timeFrom ?? time.from;
  const answers = await Promise.all(panel.targets.map((target) => ask(target, from, time.to, own)));
  const failed = answers.find((answer) => answer.error);
  if (failed) throw new Error(failed.error);
  const { options, fieldConfig } = getPanelOptionsWithDefaults({
    plugin,
    currentOptions: panel.options,
    currentFieldConfig: panel.fieldConfig,
    isAfterPluginChange: false,
  });
  const data = applyFieldOverrides({
    data: transform(answers.map(frameOf), panel.transformations),
    fieldConfig,
    fieldConfigRegistry: plugin.fieldConfigRegistry,
    replaceVariables: (text, scoped) => replace(text, scoped, own),
    theme,
    timeZone: ZONE,
  });
  cacheFieldDisplayNames(data);
  const [begin, end] = [dateTime(answers[0].from), dateTime(answers[0].to)];
  return {
    data,
    options,
    fieldConfig,
    timeRange: { from: begin, to: end, raw: { from: begin, to: end } },
  };
}

const Message = ({ children }) => (
  <div style={{ display: 'grid', placeItems: 'center', height: '100%', padding: 8 }}>
    <div style={{ textAlign: 'center', color: theme.colors.text.secondary, fontSize: 16 }}>
      {children}
    </div>
  </div>
);

function Panel({ panel, time, width, height, own }) {
  const [state, setState] = useState();
  useEffect(() => {
    load(panel, time, own)
      .then(setState, (error) => {
        (window.FAULTS ??= []).push(`${panel.title}: ${error.message}`);
        setState({ error: error.message });
      })
      .finally(() => (window.DONE = (window.DONE ?? 0) + 1));
  }, []);
  const today = panel.timeFrom && (
    <span style={{ fontSize: 12, color: theme.colors.text.secondary, padding: '0 6px' }}>
      <Icon name="clock-nine" size="sm" /> Today so far
    </span>
  );
  const View = VIEWS[panel.type];
  return (
    <PanelChrome
      title={replace(panel.title, {}, own)}
      description={() => renderMarkdown(replace(panel.description))}
      width={width}
      height={height}
      statusMessage={state?.error}
      hoverHeader={false}
      titleItems={today || undefined}
      padding={panel.type === 'table' ? 'none' : 'md'}
    >
      {(innerWidth, innerHeight) => {
        if (!state) return null;
        const isEmpty = !state.data?.some((frame) => frame.length && frame.fields.length);
        if (state.error || (isEmpty && !SHOWN_EMPTY.includes(panel.type)))
          return <Message>{state.error ?? state.fieldConfig.defaults.noValue}</Message>;
        return <View {...state} width={innerWidth} height={innerHeight} theme={theme} />;
      }}
    </PanelChrome>
  );
}

/** The panels with a copy of a repeated one for each value, side by side. */
async function repeated(panels, list) {
  const copies = panels.map(async (panel) => {
    const variable = list.find((v) => v.name === panel.repeat);
    if (!variable) return [{ panel }];
    const values = await repeats(variable);
    const perRow = Math.min(values.length, panel.maxPerRow ?? 4);
    const { gridPos } = panel;
    return values.map((own, i) => {
      const w = 24 / perRow;
      const y = gridPos.y + Math.floor(i / perRow) * gridPos.h;
      return { own, panel: { ...panel, gridPos: { ...gridPos, w, y, x: (i % perRow) * w } } };
    });
  });
  return (await Promise.all(copies)).flat();
}

/** Where each panel is: on Grafana's grid, or one below the other on a phone. */
function placed(panels) {
  const width = window.innerWidth - 4 * GAP;
  const column = (width - 23 * GAP) / 24;
  let y = 0;
  return panels.map(({ panel, own }) => {
    const { x, y: row, w, h } = panel.gridPos;
    const height = h * CELL + (h - 1) * GAP;
    if (window.innerWidth < theme.breakpoints.values['md']) {
      y += height + GAP;
      return { panel, own, left: 0, top: y - height - GAP, width, height };
    }
    return {
      panel,
      own,
      left: (x ?? 0) * (column + GAP),
      top: (row ?? 0) * (CELL + GAP),
      width: w * column + (w - 1) * GAP,
      height,
    };
  });
}

const Folded = ({ row }) => (
  <div style={{ padding: '6px 4px', fontSize: 16, fontWeight: 500 }}>
    › {row.title} ({row.panels.length} panels)
  </div>
);

function Variables({ list }) {
  const box = { padding: '5px 8px', border: `1px solid ${theme.colors.border.medium}` };
  return (
    <div style={{ display: 'flex', gap: 12, flexWrap: 'wrap', margin: '8px 0 16px' }}>
      {list
        .filter((variable) => variable.hide !== 2)
        .map((variable) => (
          <div key={variable.name} style={{ display: 'flex', fontSize: 14 }}>
            <span style={{ ...box, background: theme.colors.background.secondary }}>
              {variable.label}
            </span>
            <span style={{ ...box, minWidth: 60 }}>{chosen(variable.name)} ▾</span>
          </div>
        ))}
    </div>
  );
}

function Dashboard({ dashboard, panels, time }) {
  const boxes = placed(panels);
  const height = Math.max(...boxes.map((box) => box.top + box.height)) + 4 * GAP;
  return (
    <div style={{ background: theme.colors.background.canvas, padding: 2 * GAP }}>
      <div style={{ fontSize: 14 }}>
        Dashboards › Fleet › <b>{dashboard.title}</b>
        <span style={{ float: 'right' }}>
          {time.from} to {time.to}
        </span>
      </div>
      <Variables list={dashboard.templating.list} />
      <div style={{ position: 'relative', height }}>
        {boxes.map(({ panel, own, ...box }, i) => (
          <div key={i} data-title={panel.title} style={{ position: 'absolute', ...box }}>
            {panel.type === 'row' ? (
              <Folded row={panel} />
            ) : (
              <Panel panel={panel} own={own} time={time} width={box.width} height={box.height} />
            )}
          </div>
        ))}
      </div>
    </div>
  );
}

await initPluginTranslations('pictures', []);
locationUtil.initialize({
  config: { appSubUrl: '' },
  getVariablesUrlParams: () => ({}),
  getTimeRangeForUrl: () => ({}),
});
const dashboard = await (await fetch(`/dashboards/${page.get('uid')}.json`)).json();
choose(dashboard.templating.list);
const panels = await repeated(dashboard.panels, dashboard.templating.list);
window.PANELS = panels.filter(({ panel }) => panel.type !== 'row').length;
const time = {
  from: page.get('from') ?? dashboard.time.from,
  to: page.get('to') ?? dashboard.time.to,
};
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <Dashboard dashboard={dashboard} panels={panels} time={time} />
  </ThemeContext.Provider>,
);
