import {
  standardEditorsRegistry,
  standardFieldConfigEditorRegistry,
  FieldType,
  ThresholdsMode,
  displayNameOverrideProcessor,
  stringOverrideProcessor,
  numberOverrideProcessor,
  dataLinksOverrideProcessor,
  identityOverrideProcessor,
  valueMappingsOverrideProcessor,
  thresholdsOverrideProcessor,
  PanelPlugin,
} from '@grafana/data';

const nothing = () => null;
standardEditorsRegistry.setInit(() =>
  [
    'text',
    'number',
    'slider',
    'boolean',
    'radio',
    'select',
    'unit',
    'links',
    'actions',
    'stats-picker',
    'strings',
    'timezone',
    'fieldColor',
    'color',
    'multi-select',
    'field-name',
    'dashboard-uid',
    'mappings',
    'thresholds',
  ].map((id) => ({ id, name: id, editor: nothing })),
);

// As public/app/core/components/OptionsUI/registry.tsx has them, with its defaults.
standardFieldConfigEditorRegistry.setInit(() => {
  const item = (id, process, more = {}) => ({
    id,
    path: id,
    name: id,
    editor: nothing,
    override: nothing,
    process,
    shouldApply: () => true,
    settings: {},
    ...more,
  });
  const numeric = (f) => f.type === FieldType.number;
  return [
    item('unit', stringOverrideProcessor),
    item('min', numberOverrideProcessor, { shouldApply: numeric }),
    item('max', numberOverrideProcessor, { shouldApply: numeric }),
    item('decimals', numberOverrideProcessor, { shouldApply: numeric }),
    item('displayName', displayNameOverrideProcessor, {
      settings: { expandTemplateVars: true },
    }),
    item('color', identityOverrideProcessor, {
      settings: { byValueSupport: true, preferThresholdsMode: true },
    }),
    item('noValue', stringOverrideProcessor),
    item('links', dataLinksOverrideProcessor),
    item('actions', dataLinksOverrideProcessor),
    item('mappings', valueMappingsOverrideProcessor, {
      defaultValue: [],
      shouldApply: (x) => x.type !== FieldType.time,
    }),
    item('thresholds', thresholdsOverrideProcessor, {
      defaultValue: {
        mode: ThresholdsMode.Absolute,
        steps: [
          { value: -Infinity, color: 'green' },
          { value: 80, color: 'red' },
        ],
      },
    }),
  ];
});

const custom = (paths) => (builder) => {
  for (const [path, defaultValue] of Object.entries(paths)) {
    builder.addCustomEditor({
      id: path,
      path,
      name: path,
      editor: nothing,
      override: nothing,
      process: (v) => v,
      shouldApply: () => true,
      defaultValue,
    });
  }
};
const hide = { hideFrom: { tooltip: false, viz: false, legend: false } };
const graph = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  barAlignment: 0,
  barWidthFactor: 0.6,
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  lineStyle: undefined,
  spanNulls: false,
  insertNulls: false,
  showPoints: 'auto',
  pointSize: 5,
  stacking: { mode: 'none', group: 'A' },
  axisPlacement: 'auto',
  axisLabel: '',
  axisWidth: undefined,
  axisColorMode: 'text',
  axisBorderShow: false,
  axisCenteredZero: false,
  scaleDistribution: { type: 'linear' },
  thresholdsStyle: { mode: 'off' },
  ...hide,
};
const make = (paths, standardOptions = {}) =>
  new PanelPlugin(nothing).useFieldConfig({ standardOptions, useCustomConfig: custom(paths) });
export const plugins = {
  stat: new PanelPlugin(nothing).useFieldConfig({
    standardOptions: { color: { defaultValue: { mode: 'thresholds' } } },
  }),
  table: make({
    width: undefined,
    minWidth: undefined,
    align: 'auto',
    cellOptions: { type: 'auto' },
    inspect: false,
    filterable: false,
    wrapText: undefined,
    wrapHeaderText: undefined,
    footer: undefined,
    'hideFrom.viz': undefined,
  }),
  timeseries: make(graph, {
    color: {
      settings: { byValueSupport: true, bySeriesSupport: true, preferThresholdsMode: false },
      defaultValue: { mode: 'palette-classic' },
    },
  }),
  'state-timeline': make(
    { lineWidth: 0, fillOpacity: 70, spanNulls: false, insertNulls: false, ...hide },
    {
      color: {
        settings: { byValueSupport: true },
        defaultValue: { mode: 'continuous-GrYlRd' },
      },
    },
  ),
  'status-history': make(
    { lineWidth: 1, fillOpacity: 70, ...hide },
    { color: { settings: { byValueSupport: true }, defaultValue: { mode: 'thresholds' } } },
  ),
  geomap: make({ ...hide }, { mappings: { settings: {} } }),
};
