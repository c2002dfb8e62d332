// SPDX-License-Identifier: Apache-2.0
// Which view is shown, and when it asks for news. Views: view(argument) returns nodes, refresh() fetches, live(older,
// newer) is told of each sample.
import { ApiError, get, optional, setToken } from './api.js';
import { element, show } from './dom.js';
import { Entities, WholeFile } from './entities.js';
import { Overview } from './overview.js';
import { Traffic } from './traffic.js';
import { Upstreams } from './upstreams.js';

const SAMPLE_MS = 2000;
const SECTIONS = [['overview', 'Overview'], ['routes', 'Routes'], ['upstreams', 'Upstreams'], ['config', 'Configuration']];

const content = document.getElementById('content');
const state = document.getElementById('state');
let views = null;
let current = null;
let sample = null;

function tell(error) {
  state.textContent = error ? error.message : '';
  state.className = error ? 'bad' : '';
}

async function guarded(work) {
  try {
    await work();
    tell(null);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) askToken();
    tell(error);
  }
}

function askToken() {
  const dialog = document.getElementById('dialog');
  if (dialog.open) return;
  const input = element('input', { type: 'password', id: 'token', autocomplete: 'off' });
  const submit = (event) => {
    event.preventDefault();
    setToken(input.value);
    dialog.close();
    begin();
  };
  show(dialog, element('form', { onsubmit: submit }, element('h1', { id: 'dialog-title' }, 'Admin token'),
    element('label', { for: 'token' }, 'This gateway asks for a token'), input,
    element('div', { class: 'actions' }, element('button', { type: 'submit', class: 'primary' }, 'Go on'))));
  dialog.showModal();
}

function draw() {
  const [section, argument] = location.hash.replace(/^#\//, '').split('/');
  const name = section === 'config' && argument === 'file' ? 'file' : views[section] ? section : 'overview';
  show(document.getElementById('nav'), SECTIONS.map(([id, text]) => element('a', { href: `#/${id}`,
    'aria-current': id === name || (id === 'config' && name === 'file') ? 'page' : null }, text)));
  current = views[name];
  show(content, current.view(argument));
  guarded(async () => current.refresh?.());
}

async function takeSample() {
  const newer = await get('/ui/live');
  if (newer.draining) state.textContent = 'draining';
  current.live?.(sample, newer);
  sample = newer;
}

async function turn() {
  if (views && !document.hidden && !document.getElementById('dialog').open) {
    await guarded(async () => {
      await takeSample();
      if (current === views.routes) await current.refresh();
    });
  }
  setTimeout(turn, SAMPLE_MS);
}

async function begin() {
  await guarded(async () => {
    const node = await optional('/');
    views = { overview: new Overview(), routes: new Traffic((row) => openRoute(row)), upstreams: new Upstreams(),
      config: new Entities(node), file: new WholeFile() };
    draw();
    await takeSample();
  });
}

async function openRoute(row) {
  location.hash = '#/config/routes';
  await guarded(async () => views.config.open(await get(`/routes/${row.id}`)));
}

function toggleTheme() {
  const dark = document.documentElement.dataset.theme === 'dark' ||
    (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('sluice-theme', document.documentElement.dataset.theme);
}

function showKeys() {
  const dialog = document.getElementById('dialog');
  const keys = [['1 … 4', 'sections'], ['/', 'filter'], ['↑ ↓ Enter', 'rows'], ['r', 'fetch again'], ['t', 'light or dark'],
    ['?', 'this']];
  show(dialog, element('h1', { id: 'dialog-title' }, 'Keys'), element('table', {}, element('tbody', {},
    keys.map(([key, what]) => element('tr', {}, element('td', {}, element('kbd', {}, key)), element('td', {}, what))))),
  element('div', { class: 'actions' }, element('button', { type: 'button', onclick: () => dialog.close() }, 'Close')));
  dialog.showModal();
}

function onKey(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.getElementById('dialog').open) return;
  if (/^[1-4]$/.test(event.key)) location.hash = `#/${SECTIONS[Number(event.key) - 1][0]}`;
  else if (event.key === '/') content.querySelector('input[type="search"]')?.focus();
  else if (event.key === 'r') guarded(async () => current.refresh?.());
  else if (event.key === 't') toggleTheme();
  else if (event.key === '?') showKeys();
  else return;
  event.preventDefault();
}

const theme = localStorage.getItem('sluice-theme');
if (theme) document.documentElement.dataset.theme = theme;
document.getElementById('theme').addEventListener('click', toggleTheme);
document.getElementById('keys').addEventListener('click', showKeys);
document.addEventListener('keydown', onKey);
window.addEventListener('hashchange', () => views && draw());
await begin();
turn();
