// SPDX-License-Identifier: Apache-2.0
// Routes by what they carry now. The gateway sorts, so that ten thousand routes cost the page only its rows.
import { get } from './api.js';
import { element, milliseconds, number } from './dom.js';
import { Table } from './table.js';

export class Traffic {
  constructor(open) {
    this.order = 'rps';
    this.table = new Table([
      { name: 'Route', value: (row) => row.name || row.id },
      { name: 'Service', value: (row) => row.service ?? '' },
      { name: 'Requests/s', numeric: true, value: (row) => row.rps, show: (row) => number(row.rps, 1) },
      { name: '4xx/s', numeric: true, value: (row) => row.refused, show: (row) => rate(row.refused, 'warn') },
      { name: '5xx/s', numeric: true, value: (row) => row.errors, show: (row) => rate(row.errors, 'bad') },
      { name: 'Mean', numeric: true, value: (row) => row.mean_us ?? 0, show: (row) => milliseconds(row.mean_us ?? NaN) },
      { name: 'Requests', numeric: true, value: (row) => row.requests, show: (row) => number(row.requests) },
    ], open);
    this.total = element('span', { class: 'soft' });
  }

  view() {
    const orders = { rps: 'busiest', errors: 'most 5xx', refused: 'most 4xx', mean_us: 'slowest' };
    const choice = element('select', { 'aria-label': 'Which routes',
      onchange: (event) => { this.order = event.target.value; this.refresh(); } },
    Object.entries(orders).map(([value, text]) => element('option', { value, selected: value === this.order }, text)));
    this.table.search.addEventListener('change', () => this.refresh());
    return [element('h1', {}, 'Routes'), ...this.table.nodes(choice, this.total)];
  }

  async refresh() {
    const filter = encodeURIComponent(this.table.text);
    const answer = await get(`/ui/routes?size=500&sort=${this.order}&filter=${filter}`);
    this.total.textContent = answer.total > answer.rows.length ? `of ${number(answer.total)} routes` : '';
    this.table.fill(answer.rows);
  }
}

const rate = (value, style) => element('span', { class: value > 0 ? style : 'soft' }, number(value, 1));
