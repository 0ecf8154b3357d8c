import type { Catalog } from './catalog.js';
import {
  type Answer,
  type Ask,
  decode,
  type Decoder,
  duration,
  json,
  list,
  record,
  Refusal,
  type Reading,
  type Route,
  text,
} from './input.js';
import type { Kv } from './kv.js';
import type { KvRow, SessionRow } from './store.js';

/** `/v1/kv` and `/v1/session`. */
export const kvRoutes = (kv: Kv, catalog: Catalog): Route[] => [...keyRoutes(kv, catalog), ...sessionRoutes(kv, catalog)];

/** A number of 64 bits, written whole: a double would round it. */
const wide = (digits: string): unknown => {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  return rawJSON(digits);
};

const keyJson = ({ LockIndex, Key, Flags, Value, Session, CreateIndex, ModifyIndex }: KvRow): object => ({
  ...{ LockIndex, Key, Flags: wide(Flags), Value, Session, CreateIndex, ModifyIndex },
});

function keyRoutes(kv: Kv, { store }: Catalog): Route[] {
  const get = (ask: Ask): Reading => {
    const recurse = ask.query.has('recurse');
    const names = ask.query.has('keys');
    const prefix = recurse || names ? ask.rest : ask.name('Missing key name');
    const exact = !recurse && !names;
    const rows = () => (exact ? [store.kv.get(prefix)].filter((row) => row !== undefined) : kv.list(prefix));
    const beside = () => (rows().length > 0 && prefix !== '' ? 0 : store.touched('kv'));
    const show = () => {
      const found = rows();
      if (found.length === 0) return { status: 404 };
      if (names) return json(kv.keys(prefix, ask.text('separator') ?? ''));
      return exact && ask.query.has('raw') ? rawAnswer(found[0]!) : json(found.map(keyJson));
    };
    return { own: () => kv.touched(prefix, exact), beside, show };
  };
  const put = (ask: Ask) => {
    const key = ask.name('Missing key name');
    conflicting(ask, ['cas', 'acquire', 'release']);
    const cas = ask.unsigned('cas');
    const locks = { acquire: ask.text('acquire'), release: ask.text('release') };
    return json(
      kv.put({ key, value: ask.body, flags: ask.unsigned('flags'), cas: cas === undefined ? undefined : Number(cas), ...locks }),
    );
  };
  const remove = (ask: Ask) => {
    conflicting(ask, ['recurse', 'cas']);
    if (ask.query.has('recurse')) {
      kv.removeAll(ask.rest);
      return json(true);
    }
    const key = ask.name('Missing key name');
    const cas = ask.unsigned('cas');
    return json(kv.remove(key, cas === undefined ? undefined : Number(cas)));
  };
  return [{ path: '/v1/kv/', on: { GET: get, PUT: put, DELETE: remove } }];
}

function rawAnswer({ Value }: KvRow): Answer {
  // A value may be a page that somebody else wrote: a browser shall show it, not run it.
  const headers = { 'Content-Type': 'text/plain', 'Content-Security-Policy': 'sandbox', 'X-Content-Type-Options': 'nosniff' };
  return { raw: Buffer.from(Value ?? '', 'base64'), headers };
}

function conflicting({ query }: Ask, names: string[]) {
  const given = names.filter((name) => query.has(name)).sort();
  if (given.length > 1)
    throw new Refusal(400, `Conflicting flags: ${given.map((name) => `${name}=${query.get(name)}`).join('&')}`);
}

/** A Go duration, or a number: of seconds when small, else of nanoseconds. @returns milliseconds */
const lockDelay: Decoder<number> = (value, field) =>
  typeof value === 'number' && value < 1000 ? value * 1000 : duration(value, field);

const wanted = record(
  { Name: text, Node: text, LockDelay: lockDelay, Behavior: text, TTL: text, Checks: list(text), NodeChecks: list(text) },
  true,
);

function sessionRoutes(kv: Kv, { store }: Catalog): Route[] {
  const shown = (rows: () => (SessionRow | undefined)[]): Reading => ({
    own: () => store.touched('sessions'),
    show: () => json(rows().filter((row) => row !== undefined)),
  });
  const create = (ask: Ask) => json({ ID: kv.openSession(ask.body.length > 0 ? decode(ask.body, wanted) : {}).ID });
  const destroy = (ask: Ask) => (kv.endSession(ask.name('Missing session')), json(true));
  const renew = (ask: Ask) => {
    const id = ask.name('Missing session');
    const row = kv.renewSession(id);
    if (!row) throw new Refusal(404, `Session id '${id}' not found`);
    return json([row]);
  };
  const info = (ask: Ask) => {
    const id = ask.name('Missing session');
    kv.session(id);
    return shown(() => [kv.session(id)]);
  };
  const ofNode = (ask: Ask) => {
    const node = ask.name('Missing node name');
    return shown(() => kv.sessions(node));
  };
  return [
    { path: '/v1/session/create', on: { PUT: create } },
    { path: '/v1/session/destroy/', on: { PUT: destroy } },
    { path: '/v1/session/renew/', on: { PUT: renew } },
    { path: '/v1/session/info/', on: { GET: info } },
    { path: '/v1/session/node/', on: { GET: ofNode } },
    { path: '/v1/session/list', on: { GET: () => shown(() => kv.sessions()) } },
  ];
}
