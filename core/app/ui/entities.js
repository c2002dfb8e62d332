// SPDX-License-Identifier: Apache-2.0
// The configuration: every kind of entity in a table, each row in a form made from its schema.
import { all, call, get } from './api.js';
import { element, show } from './dom.js';
import { ask, edit, pairs } from './form.js';
import { Table } from './table.js';

export const KINDS = ['services', 'routes', 'consumers', 'plugins', 'upstreams', 'certificates', 'snis',
  'ca_certificates', 'consumer_groups', 'vaults', 'key-sets', 'keys'];

const title = (row) => row.name ?? row.username ?? row.custom_id ?? row.prefix ?? row.id;

// What tells one from another beside the name, where it has such a thing
const ABOUT = {
  services: (row) => `${row.protocol}://${row.host}:${row.port}${row.path ?? ''}`,
  routes: (row) => [row.methods?.join(' '), row.hosts?.join(' '), row.paths?.join(' '), row.expression]
    .filter(Boolean).join(' · '),
  plugins: (row) => ['service', 'route', 'consumer', 'consumer_group'].filter((scope) => row[scope])
    .map((scope) => `${scope} ${row[scope].id}`).join(', ') || 'global',
  snis: (row) => `certificate ${row.certificate?.id ?? ''}`,
};

export class Entities {
  constructor(node) {
    this.node = node; // what GET / said
    this.readOnly = node?.configuration?.database === 'off';
  }

  view(kind) {
    this.kind = KINDS.includes(kind) ? kind : KINDS[0];
    const about = ABOUT[this.kind] ?? ((row) => row.custom_id ?? '');
    this.table = new Table([
      { name: 'Name', value: (row) => title(row) },
      { name: 'What', value: about },
      ...(this.kind === 'plugins' ? [{ name: 'On', value: (row) => (row.enabled ? 'yes' : 'no') }] : []),
      { name: 'Tags', value: (row) => (row.tags ?? []).join(' ') },
      { name: 'Id', value: (row) => row.id },
    ], (row) => this.open(row));
    const list = element('ul', {}, KINDS.map((name) => element('li', {}, element('a', { href: `#/config/${name}`,
      'aria-current': name === this.kind ? 'page' : null }, name))),
    element('li', {}, element('a', { href: '#/config/file' }, 'whole file')));
    const add = this.readOnly ? element('span', { class: 'soft' }, 'read-only: it comes from a file') :
      element('button', { type: 'button', class: 'primary', onclick: () => this.add() }, 'New');
    return [element('h1', {}, 'Configuration'), element('div', { class: 'columns' }, list,
      element('section', {}, ...this.table.nodes(add)))];
  }

  async refresh() {
    this.table.fill(await all(`/${this.kind}`));
  }

  async fields(row) {
    const schema = await get(`/schemas/${this.kind}`);
    if (this.kind !== 'plugins') return schema.fields;
    const plugin = await get(`/schemas/plugins/${encodeURIComponent(row.name)}`);
    const config = pairs(plugin.fields).find(([name]) => name === 'config');
    return schema.fields.filter((field) => !('config' in field)).concat(config ? [{ config: config[1] }] : []);
  }

  async open(row) {
    const fields = await this.fields(row);
    if (this.readOnly) {
      this.look(row);
      return;
    }
    edit(title(row), fields, row, async (changes) => {
      if (Object.keys(changes).length) await call('PATCH', `/${this.kind}/${row.id}`, changes);
      await this.refresh();
    });
    const actions = document.querySelector('#dialog .actions');
    actions.prepend(element('button', { type: 'button', class: 'danger', onclick: () => this.remove(row) }, 'Delete'));
  }

  look(row) {
    const dialog = document.getElementById('dialog');
    show(dialog, element('h1', { id: 'dialog-title' }, title(row)), element('pre', {}, JSON.stringify(row, null, 2)),
      element('div', { class: 'actions' },
        element('button', { type: 'button', onclick: () => dialog.close() }, 'Close')));
    dialog.showModal();
  }

  remove(row) {
    ask(`Delete ${title(row)}?`, 'This cannot be undone.', 'Delete', async () => {
      await call('DELETE', `/${this.kind}/${row.id}`);
      await this.refresh();
    });
  }

  async add() {
    const row = this.kind === 'plugins' ? await this.choosePlugin() : {};
    if (!row) return;
    edit(`New in ${this.kind}`, await this.fields(row), row, async (changes) => {
      await call('POST', `/${this.kind}`, { ...row, ...changes });
      await this.refresh();
    });
  }

  // The plugins there are, in a dialog; null when none is chosen
  async choosePlugin() {
    const { enabled_plugins: names } = await get('/plugins/enabled');
    const dialog = document.getElementById('dialog');
    return new Promise((resolve) => {
      let chosen = null;
      const choose = (name) => { chosen = { name }; dialog.close(); };
      show(dialog, element('h1', { id: 'dialog-title' }, 'Which plugin?'), element('div', { class: 'tools' },
        [...names].sort().map((name) => element('button', { type: 'button', onclick: () => choose(name) }, name))));
      dialog.addEventListener('close', () => resolve(chosen), { once: true });
      dialog.showModal();
    });
  }
}

// The declarative file as a whole, which can be replaced also where single entities cannot
export class WholeFile {
  view() {
    this.text = element('textarea', { 'aria-label': 'Configuration', style: 'width:100%;height:60vh;font-family:monospace',
      spellcheck: 'false' });
    this.complaint = element('pre', { class: 'bad', role: 'alert', hidden: true });
    const load = element('button', { type: 'button', class: 'primary', onclick: () => this.send() }, 'Put in force');
    return [element('h1', {}, 'Configuration file'), element('p', { class: 'soft' }, 'It is checked as a whole, and put ' +
      'in force as a whole or not at all. '), this.text, this.complaint, element('div', { class: 'actions' }, load)];
  }

  async refresh() {
    const { config } = await get('/config');
    this.text.value = config;
  }

  async send() {
    this.complaint.hidden = true;
    try {
      await call('POST', '/config', { config: this.text.value });
      await this.refresh();
    } catch (error) {
      this.complaint.hidden = false;
      this.complaint.textContent = [error.message, JSON.stringify(error.fields, null, 2)].join('\n');
    }
  }
}
