// SPDX-License-Identifier: Apache-2.0
// A table of any number of rows of which only those in view are in the page; sorted by its headings, filtered by a
// text, walked through with the arrow keys.
import { element, show } from './dom.js';

const ROW = 33;
const MARGIN = 8;

export class Table {
  // columns: {name, value(row), show?(row), numeric?}; open(row) when a row is chosen
  constructor(columns, open) {
    this.columns = columns;
    this.open = open;
    this.rows = [];
    this.sorted = null;
    this.descending = true;
    this.text = '';
    this.body = element('tbody');
    this.head = element('tr');
    this.scroller = element('div', { class: 'scroll', onscroll: () => this.draw() },
      element('table', {}, element('thead', {}, this.head), this.body));
    this.count = element('span', { class: 'soft', role: 'status' });
    this.search = element('input', { type: 'search', placeholder: 'Filter (/)', 'aria-label': 'Filter',
      oninput: () => { this.text = this.search.value.toLowerCase(); this.arrange(); } });
    this.body.addEventListener('keydown', (event) => this.walk(event));
    this.drawHead();
  }

  nodes(...tools) {
    return [element('div', { class: 'tools' }, this.search, this.count, ...tools), this.scroller];
  }

  fill(rows) {
    this.rows = rows;
    this.arrange();
  }

  sort(column) {
    this.descending = this.sorted === column ? !this.descending : Boolean(column.numeric);
    this.sorted = column;
    this.drawHead();
    this.arrange();
  }

  drawHead() {
    show(this.head, this.columns.map((column) => element('th', {
      class: column.numeric ? 'n' : null,
      'aria-sort': this.sorted === column ? (this.descending ? 'descending' : 'ascending') : 'none',
    }, element('button', { type: 'button', onclick: () => this.sort(column) }, column.name))));
  }

  arrange() {
    const matches = (row) => this.columns.some((column) => String(column.value(row)).toLowerCase().includes(this.text));
    this.view = this.text ? this.rows.filter(matches) : [...this.rows];
    if (this.sorted) {
      const { value } = this.sorted;
      const sign = this.descending ? -1 : 1;
      this.view.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y)));
      });
    }
    this.count.textContent = this.view.length === this.rows.length
      ? `${this.rows.length}` : `${this.view.length} of ${this.rows.length}`;
    this.draw();
  }

  draw() {
    const first = Math.max(Math.floor(this.scroller.scrollTop / ROW) - MARGIN, 0);
    const shown = Math.ceil((this.scroller.clientHeight || 600) / ROW) + 2 * MARGIN;
    const rows = (this.view ?? []).slice(first, first + shown);
    const chosen = document.activeElement?.dataset?.at;
    const gap = (count) => element('tr', { 'aria-hidden': 'true' },
      element('td', { colspan: this.columns.length, style: `height:${count * ROW}px;padding:0;border:0` }));
    show(this.body, first ? gap(first) : null, rows.map((row, n) => this.drawRow(row, first + n)),
      this.view.length > first + rows.length ? gap(this.view.length - first - rows.length) : null);
    if (chosen !== undefined) this.body.querySelector(`[data-at="${chosen}"]`)?.focus({ preventScroll: true });
  }

  drawRow(row, at) {
    const cells = this.columns.map((column) => element('td', { class: column.numeric ? 'n' : null },
      column.show ? column.show(row) : String(column.value(row))));
    return element('tr', { tabindex: this.open ? 0 : null, 'data-at': at,
      onclick: this.open ? () => this.open(row) : () => {} }, cells);
  }

  walk(event) {
    const at = Number(event.target.closest('[data-at]')?.dataset.at);
    if (Number.isNaN(at)) return;
    if (event.key === 'Enter') {
      this.open?.(this.view[at]);
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const next = this.body.querySelector(`[data-at="${at + (event.key === 'ArrowDown' ? 1 : -1)}"]`);
      next?.focus();
      next?.scrollIntoView({ block: 'nearest' });
    } else {
      return;
    }
    event.preventDefault();
  }
}
