// Panels that Grafana's own components draw: figures, tables and time series.
import { getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

import { ZONE, replace } from './query.js';

export function Stat({ data, width, height, options, fieldConfig, theme, timeRange }) {
  const values = () =>
    getFieldDisplayValues({
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: replace,
      theme,
      data,
      sparkline: options.graphMode !== 'none',
      timeZone: ZONE,
    });
  return (
    <VizRepeater
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      source={data}
      itemSpacing={3}
      renderCounter={0}
      autoGrid
      orientation={options.orientation}
      renderValue={({ value, alignmentFactors, width, height, count }) => (
        <BigValue
          value={value.display}
          sparkline={value.sparkline}
          count={count}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          text={options.text}
          textMode={options.textMode}
          wideLayout={options.wideLayout}
          percentChangeColorMode={options.percentChangeColorMode}
          alignmentFactors={alignmentFactors}
          width={width}
          height={height}
          theme={theme}
        />
      )}
    />
  );
}

export const Table = ({ data, width, height, options, fieldConfig }) => (
  <TableNG
    data={data[0]}
    width={width}
    height={height}
    noHeader={!options.showHeader}
    cellHeight={options.cellHeight}
    initialSortBy={options.sortBy}
    fieldConfig={fieldConfig}
    structureRev={1}
    enableVirtualization={false}
    getActions={() => []}
    resizable
  />
);

export function Graph({ data, width, height, options, timeRange }) {
  const frames = data.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field, i) => ({
      ...field,
      state: { ...field.state, seriesIndex: i - 1 },
    })),
  }));
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={timeRange}
      timeZone={ZONE}
      legend={options.legend}
      options={options}
      structureRev={1}
    >
      {() => null}
    </TimeSeries>
  );
}
