/** What a line adds to its phrase. `error` becomes `error.type`, `error.message` and `error.stack_trace`. */
export type Fields = Record<string, unknown> & { error?: unknown };

// Longer values are cut: one field must not fill a disk, nor pass what Elasticsearch takes as a keyword.
const MAX_FIELD_CHARS = 8192;
const MAX_DEPTH = 4;

export const isError = (value: unknown): value is Error => value instanceof Error;

// A control character in a value could forge a line of its own on a terminal; JSON escapes most, C1 and DEL it does not.
// eslint-disable-next-line no-control-regex -- control characters are just what is looked for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029]/g;
const escape = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

function value(of: unknown, mask: ReadonlySet<string>, depth: number): unknown {
  if (typeof of === 'string') {
    const text = of.length > MAX_FIELD_CHARS ? `${of.slice(0, MAX_FIELD_CHARS)}…` : of;
    return text.replace(CONTROL, escape);
  }
  if (typeof of === 'bigint') return of.toString();
  if (typeof of !== 'object' || of === null) return typeof of === 'function' || typeof of === 'symbol' ? String(of) : of;
  if (of instanceof Date) return of.toISOString();
  if (isError(of)) return of.message;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(of)) return of.slice(0, 100).map((item) => value(item, mask, depth + 1));
  return Object.fromEntries(
    Object.entries(of).map(([key, inner]) => [key, mask.has(key.toLowerCase()) ? '***' : value(inner, mask, depth + 1)]),
  );
}

function errorFields(error: unknown): Record<string, unknown> {
  if (!isError(error)) return { 'error.message': value(String(error), new Set(), 0) };
  const cause = error.cause === undefined ? '' : `\ncaused by ${isError(error.cause) ? error.cause.stack : String(error.cause)}`;
  const code = (error as { code?: unknown }).code;
  return {
    'error.type': error.name,
    'error.message': value(error.message, new Set(), 0),
    'error.stack_trace': `${error.stack ?? ''}${cause}`.slice(0, MAX_FIELD_CHARS),
    ...(code === undefined ? {} : { 'error.code': String(code) }),
  };
}

/** The fields as they may be written: secrets masked, control characters escaped, long values cut, own ones under `mesh`. */
export function clean({ error, ...fields }: Fields, maskNames: readonly string[]): Record<string, unknown> {
  const mask = new Set(maskNames.map((name) => name.toLowerCase()));
  const out: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  for (const [key, raw] of Object.entries(fields)) {
    const last = key.slice(key.lastIndexOf('.') + 1).toLowerCase();
    (key.includes('.') ? out : own)[key] = mask.has(last) ? '***' : value(raw, mask, 0);
  }
  if (Object.keys(own).length > 0) out.mesh = own;
  return error === undefined ? out : { ...out, ...errorFields(error) };
}
