// SPDX-License-Identifier: Apache-2.0
// Upstreams, their targets, and who of them is healthy.
import { all, call, get } from './api.js';
import { element, number, show } from './dom.js';
import { ask } from './form.js';
import { Table } from './table.js';

const STYLES = { HEALTHY: 'good', HEALTHCHECKS_OFF: 'soft', UNHEALTHY: 'bad', DNS_ERROR: 'bad' };

export class Upstreams {
  constructor() {
    this.table = new Table([
      { name: 'Upstream', value: (row) => row.name },
      { name: 'Algorithm', value: (row) => row.algorithm ?? '' },
      { name: 'Health', value: (row) => row.health ?? '', show: (row) => state(row.health) },
      { name: 'Targets', numeric: true, value: (row) => row.targets?.length ?? 0 },
      { name: 'Tags', value: (row) => (row.tags ?? []).join(' ') },
    ], (row) => this.choose(row));
    this.details = element('div', { class: 'panel', hidden: true, 'aria-live': 'polite' });
    this.chosen = null;
  }

  view() {
    return [element('h1', {}, 'Upstreams'), ...this.table.nodes(), this.details];
  }

  async refresh() {
    this.table.fill(await all('/upstreams'));
    if (this.chosen) await this.choose(this.chosen);
  }

  async choose(upstream) {
    this.chosen = upstream;
    const health = await get(`/upstreams/${upstream.id}/health`);
    this.details.hidden = false;
    const row = (target) => element('tr', {}, element('td', {}, target.target), element('td', {}, state(target.health)),
      element('td', { class: 'n' }, number(target.weight)),
      element('td', {}, (target.data?.addresses ?? []).map((address) => element('div', {},
        `${address.ip}:${address.port} `, state(address.health)))),
      element('td', {}, this.button(upstream, target, 'healthy'), ' ', this.button(upstream, target, 'unhealthy')));
    show(this.details, element('h2', {}, upstream.name), element('table', {},
      element('thead', {}, element('tr', {}, ['Target', 'Health', 'Weight', 'Addresses', 'Set'].map((name) =>
        element('th', { class: name === 'Weight' ? 'n' : null }, name)))),
      element('tbody', {}, (health.data ?? []).map(row))));
  }

  button(upstream, target, health) {
    const run = async () => {
      await call('PUT', `/upstreams/${upstream.id}/targets/${encodeURIComponent(target.id)}/${health}`);
      await this.choose(upstream);
    };
    return element('button', { type: 'button',
      onclick: () => ask(`Set ${target.target} ${health}?`, 'It stays so until a health check finds otherwise.', 'Set', run) },
    health);
  }
}

const state = (health) => element('span', { class: STYLES[health] ?? 'soft' }, (health ?? '–').toLowerCase());
