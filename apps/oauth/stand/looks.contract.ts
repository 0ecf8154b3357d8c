import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import type { Stand } from './stand.contract.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** The narrowest that must do, px. */
export const PHONE = 360;

interface WithAxe {
  axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
}
interface WithPage {
  document: { documentElement: { scrollWidth: number } };
}

/** An authorization request that comes back to our own address. */
export const request = (stand: Stand, parameters: Record<string, string> = {}): string =>
  stand.authorization({ redirect_uri: `${stand.publicUrl}/signed-in`, scope: 'openid profile email', ...parameters });

/** Fill in the form and press its button. */
export async function signIn(page: Page, email: string, password = 'correct horse'): Promise<void> {
  await page.fill('#email', email);
  await page.fill('#password', password);
  await page.click('form:first-of-type button');
}

/** Every page there is, each reached as people reach it. */
export const PAGES: readonly [string, (page: Page, stand: Stand) => Promise<unknown>][] = [
  ['sign-in', (page, stand) => page.goto(request(stand))],
  ['sign-in refused', async (page, stand) => (await page.goto(request(stand)), signIn(page, 'nobody@example.com'))],
  ['sign-in unfilled', async (page, stand) => (await page.goto(request(stand)), signIn(page, '', ''))],
  ['registration', async (page, stand) => (await page.goto(request(stand)), page.goto(`${page.url()}/register`))],
  [
    'registration refused',
    async (page, stand) => (
      await page.goto(`${stand.issuer}/register`),
      await page.fill('#email', 'a'),
      page.click('form button')
    ),
  ],
  [
    'consent',
    async (page, stand) => {
      await page.goto(request(stand, { client_id: 'partner', redirect_uri: 'http://127.0.0.1:9/partner' }));
      await signIn(page, stand.users.add({}).email);
    },
  ],
  ['confirmation', (page, stand) => page.goto(`${stand.issuer}/confirm?token=${stand.users.add({ confirmed: false }).id}`)],
  ['an expired link', (page, stand) => page.goto(`${stand.issuer}/confirm`)],
  ['a forgotten password', (page, stand) => page.goto(`${stand.issuer}/forgot`)],
  ['another password', (page, stand) => page.goto(`${stand.issuer}/reset?token=x`)],
  [
    'sign-out',
    async (page, stand) => {
      await page.goto(request(stand));
      await signIn(page, stand.users.add({}).email);
      await page.goto(`${stand.issuer}/session/end`);
    },
  ],
  ['signed out', (page, stand) => page.goto(`${stand.issuer}/session/end/success`)],
  ['an error of the client', (page, stand) => page.goto(request(stand, { redirect_uri: 'https://evil.example' }))],
  ['nothing', (page, stand) => page.goto(`${stand.issuer}/interaction/0123456789`)],
];

/**
 * axe needs scripts, which our policy forbids: what it looks at is the page's HTML and style, put into a page of no policy. Once in
 * light, then the colours in dark; and whether it fits a phone's width.
 *
 * @param copy  a page of the browser with scripts, as wide as a phone
 */
export async function faultsOf(page: Page, copy: Page, stand: Stand): Promise<string[]> {
  const html = await page.content();
  await copy.unrouteAll();
  await copy.route('**/looked-at', (route) => route.fulfill({ contentType: 'text/html', body: html }));
  await copy.emulateMedia({ colorScheme: 'light' });
  await copy.goto(`${stand.publicUrl}/looked-at`);
  await copy.evaluate(axe);
  const run = (options: object) => copy.evaluate((given) => (globalThis as unknown as WithAxe).axe.run(given), options);
  const light = await run({});
  await copy.emulateMedia({ colorScheme: 'dark' });
  const dark = await run({ runOnly: ['color-contrast'] });
  const width = await copy.evaluate(() => (globalThis as unknown as WithPage).document.documentElement.scrollWidth);
  const found = [...light.violations, ...dark.violations];
  return [
    ...found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`),
    ...(width > PHONE ? [`is ${width} px wide`] : []),
  ];
}
