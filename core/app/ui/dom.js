// SPDX-License-Identifier: Apache-2.0
// Elements without a library. Text always goes in as text, so nothing of a configuration becomes markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'style') node.style.cssText = value; // as an attribute the content security policy refuses it
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const element = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

export const drawing = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

export function show(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

export function number(value, digits = 0) {
  if (!Number.isFinite(value)) return '–';
  return value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: 0 });
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${number(value, unit ? 1 : 0)} ${units[unit]}`;
}

export function milliseconds(microseconds) {
  if (!Number.isFinite(microseconds)) return '–';
  const ms = microseconds / 1000;
  return `${number(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

export function spark(values) {
  const top = Math.max(...values, 1e-9);
  const points = values.map((value, n) => `${(n / Math.max(values.length - 1, 1)) * 100},${37 - (value / top) * 34}`);
  return drawing('svg', { viewBox: '0 0 100 38', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    drawing('polyline', { points: points.join(' '), fill: 'none', stroke: 'var(--accent)', 'stroke-width': 1.5,
      'vector-effect': 'non-scaling-stroke' }));
}
