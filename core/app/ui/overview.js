// SPDX-License-Identifier: Apache-2.0
// What goes on now: requests, errors, latency, shards. Two samples make a rate; the history is this page's own.
import { element, milliseconds, number, show, spark } from './dom.js';

const KEPT = 120;

// Buckets hold counts of requests up to their bound in microseconds
export function quantile(bounds, counts, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!total) return NaN;
  let below = 0;
  for (let n = 0; n < counts.length; n++) {
    if (below + counts[n] >= share * total) {
      const low = n ? bounds[n - 1] : 0;
      const high = n < bounds.length ? bounds[n] : bounds[bounds.length - 1];
      return low + (high - low) * ((share * total - below) / counts[n]);
    }
    below += counts[n];
  }
  return bounds[bounds.length - 1];
}

const sum = (shards, name) => shards.reduce((total, shard) => total + shard[name], 0);

// What happened between two samples of /ui/live
export function between(older, newer) {
  const seconds = (newer.now_ms - older.now_ms) / 1000;
  const restarted = newer.started_ms !== older.started_ms;
  if (restarted || seconds <= 0) return null;
  const rate = (name) => (sum(newer.shards, name) - sum(older.shards, name)) / seconds;
  const counts = newer.latency.counts.map((count, n) => count - older.latency.counts[n]);
  return {
    seconds,
    rps: rate('requests'), errors: rate('responses_5xx'), refused: rate('responses_4xx'),
    p50: quantile(newer.latency.bounds_us, counts, 0.5), p99: quantile(newer.latency.bounds_us, counts, 0.99),
    shards: newer.shards.map((shard, n) => ({
      rps: (shard.requests - older.shards[n].requests) / seconds,
      load: (shard.cpu_us - older.shards[n].cpu_us) / (seconds * 1e6),
      connections: shard.connections, active: shard.active,
    })),
  };
}

export class Overview {
  constructor() {
    this.history = [];
    this.tiles = element('div', { class: 'tiles' });
    this.shards = element('tbody');
  }

  view() {
    const heads = ['Shard', 'Load', '', 'Requests/s', 'In progress', 'Connections'];
    return [element('h1', {}, 'Overview'), this.tiles,
      element('div', { class: 'panel' }, element('h2', {}, 'Shards'), element('table', {},
        element('thead', {}, element('tr', {}, heads.map((head, n) => element('th', { class: n > 2 ? 'n' : null }, head)))),
        this.shards))];
  }

  tile(name, text, key, style) {
    return element('div', { class: 'tile' }, element('span', {}, name), element('b', { class: style }, text),
      key ? spark(this.history.map((entry) => (Number.isFinite(entry[key]) ? entry[key] : 0))) : null);
  }

  live(older, newer) {
    const now = older && between(older, newer);
    if (!now) return;
    this.history = [...this.history, now].slice(-KEPT);
    show(this.tiles,
      this.tile('Requests/s', number(now.rps, now.rps < 100 ? 1 : 0), 'rps'),
      this.tile('p50', milliseconds(now.p50), 'p50'), this.tile('p99', milliseconds(now.p99), 'p99'),
      this.tile('5xx/s', number(now.errors, 1), 'errors', now.errors > 0 ? 'bad' : null),
      this.tile('4xx/s', number(now.refused, 1), 'refused', now.refused > 0 ? 'warn' : null),
      this.tile('In progress', number(sum(newer.shards, 'active'))),
      this.tile('Connections', number(sum(newer.shards, 'connections'))),
      this.tile('Up', duration((newer.now_ms - newer.started_ms) / 1000)));
    show(this.shards, now.shards.map((shard, n) => element('tr', {}, element('td', {}, String(n)),
      element('td', {}, `${number(shard.load * 100)} %`),
      element('td', {}, element('div', { class: 'bar' }, element('i', { style: `width:${Math.min(shard.load, 1) * 100}%` }))),
      element('td', { class: 'n' }, number(shard.rps)), element('td', { class: 'n' }, number(shard.active)),
      element('td', { class: 'n' }, number(shard.connections)))));
  }
}

function duration(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const at = Math.max(parts.findIndex(([size]) => seconds >= size), 0);
  const [size, unit] = parts[at];
  const next = parts[at + 1];
  const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
  return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${next[1]}` : ''}`;
}
