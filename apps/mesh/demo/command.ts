import { environment } from '#config';
import { print } from '../operate/print.js';
import { type DemoResult, DemoChain } from './bring.js';
import { accountLines } from './lines.js';

/** `mesh import demo`: chain, cinemas, auditoriums, accounts and a fortnight of screenings. */
export async function importDemo({ json }: { json?: boolean }): Promise<number> {
  const live = process.stdout.isTTY && !json;
  const chain = new DemoChain(environment(), ({ what, done, total }) => {
    if (json) print(JSON.stringify({ what, done, total }));
    else if (live) process.stdout.write(`\r\u001b[K${done} of ${total} ${what}`);
  });
  const result = await chain.bring();
  if (live) process.stdout.write('\r\u001b[K');
  print(json ? JSON.stringify(result) : demoText(result));
  return 0;
}

/** What there is now, and the accounts that were made, with their passwords: nobody is told them again. */
export function demoText({ cinemas, auditoriums, screenings, accounts }: DemoResult): string {
  return [`${cinemas} cinemas with ${auditoriums} auditoriums and ${screenings} screenings`, ...accountLines(accounts)].join(
    '\n',
  );
}
