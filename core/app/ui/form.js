// SPDX-License-Identifier: Apache-2.0
// A form for an entity or a plugin, generated from the schema that the Admin API publishes: one input per field, what
// must be given first, the rest folded away. What was left as it was is not sent.
import { element, show } from './dom.js';

const SCALARS = new Set(['string', 'integer', 'number', 'boolean']);
const HIDDEN = new Set(['id', 'created_at', 'updated_at', 'ws_id', 'cache_key']);
let unique = 0;

// [{"name": {...}}, ...], as the schema lists its fields, as pairs
export const pairs = (fields) => fields.flatMap((field) => Object.entries(field));

const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

class Invalid extends Error {}

// An input: its node, and read() that returns the value, null for nothing
function booleanInput(id, value) {
  const node = element('input', { type: 'checkbox', id, checked: Boolean(value) });
  return { node, read: () => node.checked };
}

function choiceInput(id, field, value) {
  const none = field.required && value !== undefined ? [] : [element('option', { value: '' }, '–')];
  const options = field.one_of.map((choice) => element('option', { value: JSON.stringify(choice),
    selected: same(choice, value) }, String(choice)));
  const node = element('select', { id }, none, options);
  return { node, read: () => (node.value ? JSON.parse(node.value) : null) };
}

function scalar(type, text) {
  if (type === 'string') return text;
  const value = Number(text);
  if (!Number.isFinite(value) || (type === 'integer' && !Number.isInteger(value))) throw new Invalid(`not a number: ${text}`);
  return value;
}

function textInput(id, field, value) {
  const secret = field.encrypted || /secret|password|token|^key$/.test(id);
  const attributes = { id, value: value ?? '', autocomplete: 'off', spellcheck: 'false' };
  const node = element('input', { ...attributes, type: secret && value ? 'password' : 'text' });
  return { node, read: () => (node.value === '' ? null : scalar(field.type, node.value)) };
}

function linesInput(id, field, value) {
  const node = element('textarea', { id, rows: Math.min((value?.length ?? 0) + 1, 8) });
  node.value = (value ?? []).join('\n');
  const read = () => {
    const lines = node.value.split('\n').filter((line) => line !== '');
    return lines.length ? lines.map((line) => scalar(field.elements.type, line)) : value ? [] : null;
  };
  return { node, read, hint: 'one per line' };
}

function jsonInput(id, value) {
  const node = element('textarea', { id });
  node.value = value === undefined || value === null ? '' : JSON.stringify(value, null, 2);
  const read = () => {
    try {
      return node.value.trim() ? JSON.parse(node.value) : null;
    } catch (error) {
      throw new Invalid(`not JSON: ${error.message}`);
    }
  };
  return { node, read, hint: 'JSON' };
}

function foreignInput(id, value) {
  const node = element('input', { id, value: value?.id ?? '', placeholder: 'id' });
  return { node, read: () => (node.value ? { id: node.value } : null) };
}

function inputFor(id, field, value) {
  const unset = field.default === undefined && !field.required; // neither true nor false: null says something of its own
  if (field.type === 'boolean') return unset ? choiceInput(id, { one_of: [true, false] }, value) : booleanInput(id, value);
  if (field.type === 'foreign') return foreignInput(id, value);
  if (field.one_of && SCALARS.has(field.type)) return choiceInput(id, field, value);
  if (SCALARS.has(field.type)) return textInput(id, field, value);
  const list = field.type === 'array' || field.type === 'set';
  if (list && SCALARS.has(field.elements?.type) && field.elements.type !== 'boolean') return linesInput(id, field, value);
  return jsonInput(id, value);
}

// A set of fields, from `value` (an object) if there is one
export class Fields {
  constructor(fields, value, path = '') {
    this.inputs = [];
    this.original = value ?? {};
    this.node = element('div');
    const [first, rest] = [[], []];
    for (const [name, field] of pairs(fields)) {
      if (HIDDEN.has(name) && !path) continue;
      const needed = (field.required && field.default === undefined && field.type !== 'record') || name === 'name';
      (needed || field.type === 'record' && name === 'config' ? first : rest).push(this.add(name, field, path));
    }
    show(this.node, first, rest.length ? element('details', { open: !first.length || Object.keys(this.original).length > 0 },
      element('summary', {}, 'All fields'), rest) : null);
  }

  add(name, field, path) {
    const value = this.original[name] ?? field.default;
    const full = path ? `${path}.${name}` : name;
    if (field.type === 'record' && field.fields) {
      const inner = new Fields(field.fields, this.original[name], full);
      this.inputs.push({ name, full, read: () => inner.read(), inner, shown: undefined });
      return element('fieldset', {}, element('legend', {}, name), inner.node);
    }
    const id = `${name}-${unique++}`;
    const input = inputFor(id, field, value);
    const error = element('div', { class: 'error', id: `${id}-error`, role: 'alert' });
    input.node.setAttribute('aria-describedby', `${id}-help ${id}-error`);
    this.inputs.push({ ...input, name, full, error, shown: value });
    const help = [field.description, input.hint, field.required ? 'required' : null].filter(Boolean).join(' · ');
    return element('div', { class: 'field' }, element('label', { for: id }, name),
      input.node, element('div', { class: 'help', id: `${id}-help` }, help), error);
  }

  // What differs from what was shown; throws when an input makes no sense
  read() {
    const out = {};
    for (const input of this.inputs) {
      this.mark(input, null);
      try {
        const value = input.read();
        if (input.inner ? Object.keys(value).length : !same(value, input.shown)) out[input.name] = value;
      } catch (error) {
        if (error instanceof Invalid) this.mark(input, error.message);
        throw error;
      }
    }
    return out;
  }

  mark(input, message) {
    if (!input.error) return;
    input.error.textContent = message ?? '';
    input.node.setAttribute('aria-invalid', message ? 'true' : 'false');
  }

  // Errors as the API tells them, {"name": "text"} or nested; returns those that belong to no input
  refuse(fields) {
    const left = [];
    for (const [name, message] of Object.entries(fields ?? {})) {
      const input = this.inputs.find((candidate) => candidate.name === name);
      if (input?.inner && typeof message === 'object') left.push(...input.inner.refuse(message));
      else if (input?.error) this.mark(input, typeof message === 'string' ? message : JSON.stringify(message));
      else left.push(`${name}: ${typeof message === 'string' ? message : JSON.stringify(message)}`);
    }
    this.node.querySelector('[aria-invalid="true"]')?.focus();
    return left;
  }
}

// A dialog around the fields; save(changes) may throw an ApiError, whose fields are shown where they belong
export function edit(title, fields, value, save) {
  const dialog = document.getElementById('dialog');
  const parts = new Fields(fields, value);
  const complaint = element('p', { class: 'error', role: 'alert' });
  const submit = async (event) => {
    event.preventDefault();
    complaint.textContent = '';
    try {
      await save(parts.read());
      dialog.close();
    } catch (error) {
      const left = parts.refuse(error.fields);
      complaint.textContent = [error.message, ...left].join('; ');
    }
  };
  show(dialog, element('form', { onsubmit: submit },
    element('h1', { id: 'dialog-title' }, title), parts.node, complaint,
    element('div', { class: 'actions' },
      element('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
      element('button', { type: 'submit', class: 'primary' }, 'Save'))));
  dialog.showModal();
}

export function ask(title, text, action, run) {
  const dialog = document.getElementById('dialog');
  const complaint = element('p', { class: 'error', role: 'alert' });
  const submit = async () => {
    try {
      await run();
      dialog.close();
    } catch (error) {
      complaint.textContent = error.message;
    }
  };
  show(dialog, element('h1', { id: 'dialog-title' }, title), element('p', {}, text), complaint,
    element('div', { class: 'actions' },
      element('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
      element('button', { type: 'button', class: 'danger', onclick: submit }, action)));
  dialog.showModal();
}
