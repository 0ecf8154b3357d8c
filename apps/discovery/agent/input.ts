/** A refusal in Consul's manner: a status and one line of plain text. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** Turns a JSON value into what is wanted there. @throws Refusal naming the field and the type that it should have */
export type Decoder<T> = (value: unknown, field: string) => T;

const decodeFailed = (why: string) => new Refusal(400, `Request decode failed: ${why}`);

const kindOf = (value: unknown) => {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
};

const wrongType = (value: unknown, field: string, wanted: string) =>
  decodeFailed(`json: cannot unmarshal ${kindOf(value)} into Go struct field .${field} of type ${wanted}`);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const primitive =
  <T>(type: 'string' | 'boolean', wanted: string): Decoder<T> =>
  (value, field) => {
    if (typeof value !== type) throw wrongType(value, field, wanted);
    return value as T;
  };

export const text: Decoder<string> = primitive('string', 'string');
export const flag: Decoder<boolean> = primitive('boolean', 'bool');

export const integer: Decoder<number> = (value, field) => {
  if (!Number.isSafeInteger(value)) throw wrongType(value, field, 'int');
  return value as number;
};

export const list =
  <T>(item: Decoder<T>, wanted = '[]string'): Decoder<T[]> =>
  (value, field) => {
    if (!Array.isArray(value)) throw wrongType(value, field, wanted);
    return value.map((one) => item(one, field));
  };

/** An object of any keys. */
export const mapOf =
  <T>(item: Decoder<T>): Decoder<Record<string, T>> =>
  (value, field) => {
    if (!isObject(value)) throw wrongType(value, field, 'map');
    // fromEntries defines own properties, so that a key named __proto__ is a key like any other.
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, item(one, field)]));
  };

const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a Go duration such as `1m30s`, or undefined when it is none. */
export function parseDuration(value: string): number | undefined {
  if (value === '0') return 0;
  if (!/^(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$/.test(value)) return undefined;
  return [...value.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit!]!,
    0,
  );
}

/** Milliseconds, given as a Go duration or as nanoseconds. */
export const duration: Decoder<number> = (value, field) => {
  if (typeof value === 'number') return value / 1e6;
  if (typeof value !== 'string') throw wrongType(value, field, 'time.Duration');
  const ms = value === '' ? 0 : parseDuration(value);
  if (ms === undefined) throw decodeFailed(`time: invalid duration "${value}"`);
  return ms;
};

export type Decoded<S extends Record<string, Decoder<unknown>>> = { [K in keyof S]?: ReturnType<S[K]> };

/**
 * An object of known keys, found whatever their case (`deregister_critical_service_after` too); null is absent.
 *
 * @param open  pass over an unknown key instead of refusing it
 */
export function record<S extends Record<string, Decoder<unknown>>>(fields: S, open = false): Decoder<Decoded<S>> {
  const plain = (key: string) => key.replaceAll('_', '').toLowerCase();
  const names = new Map(Object.keys(fields).map((name) => [plain(name), name]));
  return (value, field) => {
    if (value === null || value === undefined) return {};
    if (!isObject(value))
      throw decodeFailed(`json: cannot unmarshal ${kindOf(value)} into Go value of type struct${field && ` (.${field})`}`);
    const found: Record<string, unknown> = {};
    for (const [key, one] of Object.entries(value)) {
      const name = names.get(plain(key));
      if (name === undefined && open) continue;
      if (name === undefined) throw decodeFailed(`json: unknown field "${key}"`);
      if (one !== null) found[name] = fields[name]!(one, field ? `${field}.${name}` : name);
    }
    return found as Decoded<S>;
  };
}

/** The decoded body. @throws Refusal 400 saying what is wrong with it, or that there is none */
export function decode<T>(body: Buffer, decoder: Decoder<T>): T {
  if (body.length === 0) throw decodeFailed('EOF');
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw decodeFailed((error as Error).message);
  }
  return decoder(value, '');
}

/** One request, with its path taken apart. */
export class Ask {
  constructor(
    readonly method: string,
    /** What follows the route's path: an id, a name, a key. */
    readonly rest: string,
    readonly query: URLSearchParams,
    readonly body: Buffer,
  ) {}

  /** @throws Refusal 400 `missing` when the path ends where a name should be */
  name(missing: string, status = 400): string {
    if (this.rest === '') throw new Refusal(status, missing);
    return this.rest;
  }

  /** The parameter's text, or undefined when it is absent. */
  text(name: string): string | undefined {
    return this.query.get(name) ?? undefined;
  }

  /** A switch: `?passing`, `?passing=true`. @throws Refusal 400 */
  isOn(name: string): boolean {
    const value = this.query.get(name);
    if (value === null) return false;
    if (value === '' || /^(1|t|true)$/i.test(value)) return true;
    if (/^(0|f|false)$/i.test(value)) return false;
    throw new Refusal(400, `Invalid value for ?${name}`);
  }

  /** A whole number kept as text, since it may need 64 bits. @throws Refusal 500, as Consul's */
  unsigned(name: string): string | undefined {
    const value = this.query.get(name);
    if (value === null) return undefined;
    if (!/^\d{1,20}$/.test(value)) throw new Refusal(500, `strconv.ParseUint: parsing "${value}": invalid syntax`);
    return BigInt(value).toString();
  }

  /** How long and for what a blocking read waits, or undefined when it does not. @throws Refusal 400 */
  waiting(limits: { waitMs: number; waitMaxMs: number }): { index: number; waitMs: number } | undefined {
    const { query } = this;
    const wait = query.get('wait');
    const asked = wait === null ? 0 : parseDuration(wait);
    if (asked === undefined) throw new Refusal(400, 'Invalid wait time');
    const index = query.get('index') ?? '0';
    if (!/^\d+$/.test(index)) throw new Refusal(400, 'Invalid index');
    if (Number(index) === 0) return undefined;
    const waitMs = Math.min(asked || limits.waitMs, limits.waitMaxMs);
    // Many clients that ask at the same time must not all come back at the same time: up to a sixteenth longer, as Consul.
    return { index: Number(index), waitMs: waitMs + Math.random() * (waitMs / 16) };
  }
}

/** What is said to a request: JSON, a line of text, or bytes. */
export interface Answer {
  status?: number;
  json?: unknown;
  text?: string;
  raw?: Buffer;
  headers?: Record<string, string>;
}

export const json = (value: unknown): Answer => ({ json: value });

/** A read that can wait for what it shows. */
export interface Reading {
  /** Index of the last change to exactly what is shown: only this wakes who waits. */
  own: () => number;
  /** Index that Consul would say when that is more, such as the whole table's for a service that does not exist. */
  beside?: () => number;
  show: () => Answer;
}

type Act = (ask: Ask) => Answer | Reading | undefined;

export interface Route {
  /** A path, or, with a slash at its end, all that begin with it. */
  path: string;
  on: { GET?: Act; PUT?: Act; DELETE?: Act };
}
