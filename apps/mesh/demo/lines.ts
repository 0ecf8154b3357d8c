import type { Account } from './accounts.js';

/** A line for each account that was made just now. */
export function accountLines(accounts: readonly Account[]): string[] {
  const made = accounts.filter(({ password }) => password !== undefined);
  if (made.length === 0) return [];
  const wide = Math.max(...made.map(({ role }) => role.length));
  return [
    'accounts of the demonstration, told this once (a new password: npx mesh password <e-mail>):',
    ...made.map(({ role, email, password }) => `  ${role.padEnd(wide)}  ${email} with ${password}`),
  ];
}
