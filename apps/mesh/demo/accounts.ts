import { randomBytes } from 'node:crypto';
import { OTHERS, STAFF } from './chain.js';
import type { PublicApi } from '../wire/public.js';

/** Somebody of the demonstration; a password is there only when the account was made just now. */
export interface Account {
  role: string;
  email: string;
  password?: string;
}

/** The account of an address: made, or there already. */
async function account(api: PublicApi, email: string, name: string): Promise<{ id: string; password?: string }> {
  const known = async () => (await api.list(`/api/users?email=${encodeURIComponent(email)}`))[0] as { id: string } | undefined;
  const found = await known();
  if (found) return found;
  const password = randomBytes(12).toString('base64url');
  const { status, text } = await api.tryPost('/api/users', { email, password, name, language: 'es' });
  if (status === 201) return { id: (JSON.parse(text) as { id: string }).id, password };
  const there = status === 409 ? await known() : undefined;
  if (!there) throw new Error(`no account can be made for ${email}: ${text.slice(0, 300)}`);
  return there;
}

/**
 * Make an account for every role, bound where it acts.
 *
 * @param chain    the chain's id
 * @param cinemas  the cinemas' ids, in the order of the data
 */
export async function makeAccounts(api: PublicApi, chain: string, cinemas: readonly string[]): Promise<Account[]> {
  const made: Account[] = [];
  for (const { email, name, role, cinemas: places } of STAFF) {
    const { id: user, password } = await account(api, email, name);
    const bound = { user, role, chain, cinemas: places.map((place) => cinemas[place]!) };
    const { status, text } = await api.tryPost('/api/managers', bound, '/user', '/chain', '/cinemas');
    if (status !== 201 && status !== 409) throw new Error(`${email} cannot become ${role}: ${text.slice(0, 300)}`);
    made.push({ role, email, password });
  }
  for (const { email, name, role } of OTHERS) {
    const { id, password } = await account(api, email, name);
    if (role !== 'customer' && password) await api.put(`/api/users/${id}/roles`, { roles: [role] });
    made.push({ role, email, password });
  }
  return made;
}
