// SPDX-License-Identifier: Apache-2.0
// Calls of the Admin API on the origin that served this page. The token, if there is one, stays in this tab.

const TOKEN = 'sluice-token';

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.message ?? `the gateway answered ${status}`);
    this.status = status;
    this.fields = body?.fields ?? null;
  }
}

export const setToken = (token) => sessionStorage.setItem(TOKEN, token);

export async function call(method, path, body) {
  const headers = { Accept: 'application/json' };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, { method, headers, cache: 'no-store', redirect: 'error',
    body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    value = { message: text.slice(0, 300) };
  }
  if (!answer.ok) throw new ApiError(answer.status, value);
  return value;
}

export const get = (path) => call('GET', path);

export async function optional(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

// All pages of a collection, up to a number that a table can still hold.
export async function all(path, limit = 20000) {
  const rows = [];
  let next = `${path}?size=1000`;
  while (next && rows.length < limit) {
    const page = await get(next);
    rows.push(...(page.data ?? []));
    next = page.offset ? `${path}?size=1000&offset=${encodeURIComponent(page.offset)}` : null;
  }
  return rows;
}
