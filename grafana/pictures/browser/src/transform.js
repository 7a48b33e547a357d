import { getFieldDisplayName, anyToNumber, reduceField, getFieldMatcher } from '@grafana/data';

// After fieldToConfigMapping.ts, rowsToFields.ts and configFromQuery.ts.
const handlers = {
  'field.name': () => undefined,
  'field.value': () => undefined,
  'field.label': () => undefined,
  __ignore: () => undefined,
  max: (v) => num(v),
  min: (v) => num(v),
  unit: (v) => v.toString(),
  decimals: (v) => num(v),
  displayName: (v) => v.toString(),
  color: (v) => ({ fixedColor: v, mode: 'fixed' }),
  threshold1: (v, config, args) => {
    const n = anyToNumber(v);
    if (isNaN(n)) return undefined;
    config.thresholds ??= { mode: 'absolute', steps: [] };
    config.thresholds.steps.push({ value: n, color: args?.threshold?.color ?? 'red' });
    return config.thresholds;
  },
};
const target = { threshold1: 'thresholds' };
const num = (v) => {
  const n = anyToNumber(v);
  return isNaN(n) ? undefined : n;
};

function evaluate(frame, mappings, names) {
  const result = { index: {} };
  for (const field of frame.fields) {
    const name = getFieldDisplayName(field, frame);
    const mapping = mappings.find((m) => m.fieldName === name);
    let key = mapping ? mapping.handlerKey : name.toLowerCase();
    if (!handlers[key]) key = null;
    if (names && key === 'field.name') result.nameField = field;
    if (names && key === 'field.value') result.valueField = field;
    if (!key && names) key = 'field.label';
    result.index[name] = { key, args: mapping?.handlerArguments ?? {} };
  }
  return result;
}
function config(frame, row, result) {
  const out = {};
  for (const field of frame.fields) {
    const { key, args } = result.index[getFieldDisplayName(field, frame)];
    const value = field.values[row];
    if (!key || value === null || value === undefined) continue;
    const made = handlers[key](value, out, args);
    if (made != null) out[target[key] ?? key] = made;
  }
  return out;
}
export function transform(frames, transformations = []) {
  for (const t of transformations) {
    if (t.id === 'rowsToFields') {
      frames = frames.map((frame) => {
        const r = evaluate(frame, t.options.mappings, true);
        if (!r.nameField || !r.valueField) return frame;
        return {
          refId: frame.refId,
          length: 1,
          fields: r.nameField.values.map((name, row) => {
            const labels = {};
            for (const f of frame.fields) {
              const n = getFieldDisplayName(f, frame);
              if (r.index[n].key === 'field.label' && f.values[row] != null)
                labels[n] = f.values[row];
            }
            return {
              name: `${name}`,
              type: r.valueField.type,
              values: [r.valueField.values[row]],
              config: config(frame, row, r),
              labels,
            };
          }),
        };
      });
    } else if (t.id === 'configFromData') {
      const source = frames.find((f) => f.refId === t.options.configRefId);
      if (!source) continue;
      const r = evaluate(source, t.options.mappings, false);
      const reduced = {
        length: 1,
        fields: source.fields.map((f) => ({
          ...f,
          values: [reduceField({ field: f, reducers: ['lastNotNull'] }).lastNotNull],
        })),
      };
      const matcher = getFieldMatcher(t.options.applyTo);
      frames = frames
        .filter((f) => !(f === source && frames.length > 1))
        .map((frame) => ({
          ...frame,
          fields: frame.fields.map((f) =>
            matcher(f, frame, frames)
              ? { ...f, config: { ...f.config, ...config(reduced, 0, r) } }
              : f,
          ),
        }));
    } else throw new Error('transformation ' + t.id);
  }
  return frames;
}
