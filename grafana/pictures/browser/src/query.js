// The dashboard's variables, and answers of the gold data source as frames.
import { getFieldDisplayName } from '@grafana/data';

export const page = new URLSearchParams(location.search);
export const ZONE = 'Africa/Nairobi';

const variables = {};

/** Takes the variables' values from the page's address, and the defaults for the others. */
export function choose(list) {
  for (const variable of list) {
    const given = page.getAll(`var-${variable.name}`);
    const values = [variable.current.value].flat();
    const text = [variable.current.text].flat().join(' + ');
    if (variable.type === 'constant')
      variables[variable.name] = { values: [variable.query], text: variable.query };
    else if (given.length) variables[variable.name] = { values: given, text: given.join(' + ') };
    else if (values[0] === '$__all') variables[variable.name] = { all: true, text: 'All' };
    else variables[variable.name] = { values, text };
  }
}

/** The values of a variable, as {name: {values, text}} each: a panel is repeated for each. */
export async function repeats(variable) {
  const { all, values } = variables[variable.name];
  const { rows } = await ask({ rawSql: variable.query, format: 'table' }, 'now', 'now');
  return rows
    .filter(([value]) => all || values.includes(value))
    .map(([value, text]) => ({ [variable.name]: { values: [value], text: text ?? value } }));
}

export const chosen = (name) => variables[name]?.text;

/** Replaces ${…} in titles, descriptions and links; `own` are variables of a repeated panel. */
export function replace(text, scoped, own = {}) {
  if (text == null) return text;
  return String(text).replace(/\$\{([\w.]+)(?::(\w+))?\}/g, (all, name, form) => {
    const [head, first, column] = name.split('.');
    if (head === '__data' && first === 'fields') {
      const row = scoped?.__dataContext?.value;
      const field = row?.frame.fields.find(
        (f) => f.name === column || getFieldDisplayName(f) === column,
      );
      if (!field || row.rowIndex == null) return all;
      const value = field.values[row.rowIndex];
      return form === 'percentencode' ? encodeURIComponent(value) : `${value}`;
    }
    const variable = own[name] ?? variables[name];
    if (!variable) return all;
    if (form !== 'queryparam') return variable.text;
    const values = variable.all ? ['$__all'] : variable.values;
    return values.map((value) => `var-${name}=${value}`).join('&');
  });
}

/** Sends a panel's query; the answer has from, to, fields and rows, or an error. */
export async function ask(target, from, to, own = {}) {
  const values = Object.fromEntries(
    Object.entries({ ...variables, ...own }).map(([name, v]) => [name, v.all ? null : v.values]),
  );
  const body = { sql: target.rawSql, format: target.format, from, to, values };
  const response = await fetch('/api/query', { method: 'POST', body: JSON.stringify(body) });
  return { refId: target.refId, ...(await response.json()) };
}

export const frameOf = (answer) => ({
  refId: answer.refId,
  length: answer.rows.length,
  fields: answer.fields.map((field, i) => ({
    ...field,
    config: {},
    values: answer.rows.map((row) => row[i]),
  })),
});
