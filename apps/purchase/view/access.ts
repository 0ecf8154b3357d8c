import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from '#context';
import type { Bounds } from '#staff';

type Add = (value: unknown) => string;

/** Adds what is called by the columns that a caller may see of all sales. */
const within = ({ everywhere, chains, cinemas }: Bounds, add: Add): string =>
  everywhere ? 'true' : `v.chain = ANY(${add(chains)}::uuid[]) OR v.cinema = ANY(${add(cinemas)}::uuid[])`;

/**
 * Compares hashes, and those under a salt of this one question: how long it takes says nothing of how much of them is equal.
 */
function keyed(key: string, add: Add): string {
  const hash = createHash('sha256').update(key).digest('base64url');
  const [given, salt] = [add(hash), add(randomBytes(16).toString('base64url'))];
  const salted = (text: string) => `sha256(convert_to(${salt}::text || ${text}, 'UTF8'))`;
  return `${salted('v."accessKeyHash"')} = ${salted(`${given}::text`)}`;
}

/**
 * SQL over `v`, the purchases: which of them there are for this caller.
 *
 * @param caller   who asks, if it is known
 * @param bounds   where they act, when they are staff
 * @param headers  with a guest's `Access-Key`, where one purchase is asked for
 */
export function visibleTo(
  { caller, bounds, headers = {} }: { caller?: Caller; bounds?: Bounds; headers?: IncomingHttpHeaders },
  add: Add,
): string {
  const key = headers['access-key'];
  const ways = [
    ...(caller ? [`v.customer = ${add(caller.id)}`] : []),
    ...(bounds ? [within(bounds, add)] : []),
    ...(typeof key === 'string' ? [keyed(key, add)] : []),
  ];
  return ways.length === 0 ? 'false' : ways.map((way) => `(${way})`).join(' OR ');
}
