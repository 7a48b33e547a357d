// Maps: Grafana's geomap is not in @grafana/ui, so OpenLayers draws it after Grafana's rules.
import { formattedValueToString, getValueFormat } from '@grafana/data';
import Feature from 'ol/Feature';
import OlMap from 'ol/Map';
import View from 'ol/View';
import ScaleLine from 'ol/control/ScaleLine';
import { defaults as controls } from 'ol/control/defaults.js';
import LineString from 'ol/geom/LineString';
import Point from 'ol/geom/Point';
import VectorLayer from 'ol/layer/Vector';
import { fromLonLat } from 'ol/proj';
import VectorSource from 'ol/source/Vector';
import { Circle, Fill, Icon, Stroke, Style } from 'ol/style';
import { useEffect, useRef } from 'react';

const PLANE = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="100px" height="100px"' +
    ' fill="#fff"><path d="M50 4 L58 36 L94 58 L94 66 L58 56 L56 80 L68 90 L68 95 L50 90 L32 95' +
    ' L32 90 L44 80 L42 56 L6 66 L6 58 L42 36 Z"/></svg>',
)}`;

const pointsOf = (frame) => {
  const [latitudes, longitudes] = ['latitude', 'longitude'].map(
    (name) => frame.fields.find((field) => field.name === name).values,
  );
  return latitudes.map((latitude, i) => fromLonLat([longitudes[i], latitude]));
};

function route(frame, style, theme) {
  const feature = new Feature(new LineString(pointsOf(frame)));
  const color = `${theme.visualization.getColorByName(style.color.fixed)}99`;
  feature.setStyle(new Style({ stroke: new Stroke({ color, width: style.size.fixed }) }));
  return [feature];
}

function symbols(frame, style) {
  const field = (name) => frame.fields.find((f) => f.name === name);
  const sizes = field(style.size.field)?.values ?? [];
  const known = sizes.filter((size) => size != null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const colours = field(style.color.field);
  return pointsOf(frame).map((point, i) => {
    const color = colours ? colours.display(colours.values[i]).color : style.color.fixed;
    const range = style.size.max - style.size.min;
    const size = known.length
      ? style.size.min + ((sizes[i] - least) / (most - least || 1)) * range
      : style.size.fixed;
    const turn = field(style.rotation.field)?.values[i] ?? 0;
    const image = style.symbol.fixed.includes('plane')
      ? new Icon({
          src: PLANE,
          color,
          opacity: 0.9,
          scale: (5 + size) / 100,
          rotation: (turn * Math.PI) / 180,
        })
      : new Circle({
          radius: size,
          fill: new Fill({ color: `${color}e6` }),
          stroke: new Stroke({ color, width: 1 }),
        });
    const feature = new Feature(new Point(point));
    feature.setStyle(new Style({ image }));
    return feature;
  });
}

/** Grafana's legend of markers: the thresholds of the coloured field. */
function legendOf(layer, frame, theme) {
  const field = frame.fields.find((f) => f.name === layer.config.style.color.field);
  const steps = field?.config.thresholds?.steps ?? [];
  if (!layer.config.showLegend || steps.length < 2) return null;
  const format = getValueFormat(field.config.unit ?? '');
  const shown = (step) => formattedValueToString(format(step.value, field.config.decimals));
  return steps.map((step, i) => ({
    color: theme.visualization.getColorByName(step.color),
    text: i ? `${shown(step)}+` : `< ${shown(steps[1])}`,
  }));
}

export function GeoMap({ data, width, height, options, theme }) {
  const box = useRef();
  const drawn = options.layers
    .map((layer) => ({
      layer,
      frame: data.find((frame) => frame.refId === layer.filterData.options),
    }))
    .filter(({ frame }) => frame?.length);
  useEffect(() => {
    const all = new VectorSource();
    const layers = drawn.map(({ layer, frame }) => {
      const draw = layer.type === 'route' ? route : symbols;
      const features = draw(frame, layer.config.style, theme);
      all.addFeatures(features);
      return new VectorLayer({ source: new VectorSource({ features }) });
    });
    const { view } = options;
    const map = new OlMap({
      target: box.current,
      layers,
      controls: controls({ attribution: false }).extend([new ScaleLine()]),
      view: new View({ center: fromLonLat([view.lon ?? 0, view.lat ?? 0]), zoom: view.zoom ?? 2 }),
    });
    if (view.id === 'fit' && all.getFeatures().length)
      map.getView().fit(all.getExtent(), {
        padding: Array(4).fill(view.padding ?? 5),
        maxZoom: view.maxZoom ?? 22,
        size: [width, height],
      });
    return () => map.setTarget(undefined);
  }, [width, height]);
  const legends = drawn
    .map(({ layer, frame }) => [layer.name, legendOf(layer, frame, theme)])
    .filter(([, items]) => items);
  const card = { background: theme.colors.background.secondary, padding: 8, minWidth: 150 };
  const dot = { display: 'inline-block', width: 15, height: 15, borderRadius: 8, marginRight: 8 };
  const note = { position: 'absolute', top: 8, right: 8, color: theme.colors.text.secondary };
  return (
    <div style={{ position: 'relative', width, height }}>
      <div ref={box} style={{ width, height, background: theme.colors.background.secondary }} />
      <div style={{ position: 'absolute', bottom: 8, left: 8, fontSize: 12 }}>
        {legends.map(([name, items]) => (
          <div key={name} style={card}>
            {name}
            {items.map(({ color, text }) => (
              <div key={text}>
                <i style={{ ...dot, background: color }} />
                {text}
              </div>
            ))}
          </div>
        ))}
      </div>
      <div style={{ ...note, fontSize: 11 }}>street map: not drawn here</div>
    </div>
  );
}
