import { type Browser, chromium, type Page } from 'playwright-core';
import { faultsOf, PAGES, PHONE, request, signIn } from './stand/looks.contract.js';
import { type Stand, startStand } from './stand/stand.contract.js';

const CHROMIUM = process.env.CHROMIUM_PATH;
/** Where pictures are wanted, in three widths and both schemes. */
const PICTURES = process.env.PICTURES_DIR;
// Skipped without a browser, and so reported by jest.
const inBrowser = CHROMIUM ? describe : describe.skip;
inBrowser('the pages in a browser without scripts (CHROMIUM_PATH)', () => {
  let stand: Stand, browser: Browser, copy: Page;
  beforeAll(async () => {
    stand = await startStand();
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    copy = await browser.newPage({ viewport: { width: PHONE, height: 740 } });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await stand?.stop();
  });

  const context = (locale: string, options: object = {}) => browser.newContext({ locale, javaScriptEnabled: false, ...options });

  describe.each(['es', 'en'])('in %s', (language) => {
    it.each(PAGES)('have no fault that axe knows, in light and dark: %s', async (name, reach) => {
      const visitor = await context(language);
      const page = await visitor.newPage();
      await reach(page, stand);
      expect(await page.getAttribute('html', 'lang')).toBe(language);
      expect(await faultsOf(page, copy, stand)).toEqual([]);
      if (PICTURES) {
        for (const width of [360, 768, 1440]) {
          await page.setViewportSize({ width, height: 800 });
          await page.screenshot({ path: `${PICTURES}/${name.replaceAll(' ', '-')}-${language}-${width}.png`, fullPage: true });
        }
        await page.emulateMedia({ colorScheme: 'dark' });
        await page.screenshot({ path: `${PICTURES}/${name.replaceAll(' ', '-')}-${language}-dark.png`, fullPage: true });
      }
      await visitor.close();
    });
  });

  it('let a person sign in by keyboard alone', async () => {
    const user = stand.users.add({});
    const visitor = await context('en');
    const page = await visitor.newPage();
    // A page is loaded before it is drawn, and is given its focus as it is drawn: whoever types has seen where.
    const focused = (id: string) => page.waitForSelector(`#${id}:focus`);
    await page.goto(request(stand));
    await focused('email');
    await page.keyboard.type(user.email);
    await page.keyboard.press('Tab'); // the link to recover a password
    await page.keyboard.press('Tab');
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    // What is wrong has it now, and leads to the field.
    await focused('summary');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await focused('email');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.type('correct horse');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    await page.keyboard.press('Tab');
    const arrived = page.waitForURL(/\/signed-in\?code=/);
    await page.keyboard.press('Enter');
    await arrived;
    await visitor.close();
  });

  it('follow the redirects of their forms, which a policy could forbid', async () => {
    const visitor = await context('en');
    const page = await visitor.newPage();
    await page.route('http://127.0.0.1:9/**', (route) => route.fulfill({ body: 'the partner' }));
    await page.goto(request(stand, { client_id: 'partner', redirect_uri: 'http://127.0.0.1:9/partner' }));
    await signIn(page, stand.users.add({}).email);
    await page.click('form:first-of-type button');
    await page.waitForURL(/127\.0\.0\.1:9\/partner\?code=/);
    await visitor.close();
  });
});
