import type { Browser, Opened } from './stand/browser.contract.js';
import { type Stand, startStand } from './stand/stand.contract.js';

describe('the pages', () => {
  let stand: Stand;
  beforeAll(async () => {
    stand = await startStand({ 'oauth.wrongPerAddress': 40, 'oauth.pauseSeconds': 1 });
  }, 60_000);
  afterAll(() => stand?.stop());

  const request = (parameters: Record<string, string> = {}) =>
    stand.authorization({ redirect_uri: `${stand.publicUrl}/signed-in`, scope: 'openid profile', ...parameters });
  const open = (browser: Browser, parameters: Record<string, string> = {}) => browser.open(request(parameters));
  const fill = async (browser: Browser, fields: Record<string, string>, parameters: Record<string, string> = {}) =>
    browser.send(await open(browser, parameters), { password: 'correct horse', ...fields });
  const langOf = ({ text }: Opened) => /<html lang="(\w+)"/.exec(text)?.[1];
  const partner = { client_id: 'partner', redirect_uri: 'http://127.0.0.1:9/partner' };

  it('run no script, load nothing from elsewhere, and are neither kept nor framed', async () => {
    const { headers, text } = await open(stand.browser());
    const policy = headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|script-src|\*/);
    expect(policy).toContain(`form-action 'self' ${stand.publicUrl}`);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(text).not.toMatch(/<script|<style|style="|\son\w+="/);
    const [, sheet] = /<link rel="stylesheet" href="([^"]+)"/.exec(text)!;
    const style = await fetch(stand.publicUrl + sheet);
    expect([style.status, style.headers.get('content-type')]).toEqual([200, 'text/css; charset=utf-8']);
    expect(style.headers.get('cache-control')).toContain('immutable');
  });

  it('keep their cookies from scripts and from other sites', async () => {
    const answer = await fetch(request(), { redirect: 'manual' });
    const cookies = answer.headers.getSetCookie();
    expect(cookies.length).toBeGreaterThan(1);
    for (const cookie of cookies) expect(cookie).toMatch(/; samesite=lax.*; httponly/i);
  });

  it('speak the language the client asks for, then the browser’s, and can be switched', async () => {
    expect(langOf(await open(stand.browser({ language: 'en-GB,en;q=0.9' })))).toBe('en');
    expect(langOf(await open(stand.browser({ language: 'de' })))).toBe('es');
    const browser = stand.browser({ language: 'en' });
    const page = await open(browser, { ui_locales: 'fr es-CL en' });
    expect(langOf(page)).toBe('es');
    expect(page.headers.get('content-language')).toBe('es');
    const [, other] = /<a class="inline" href="([^"]+)" lang="en"/.exec(page.text)!;
    const switched = await browser.open(new URL(other!.replaceAll('&amp;', '&'), page.url).href);
    expect(langOf(switched)).toBe('en');
    // It stays so when the form comes back, and on the next page.
    expect(langOf(await browser.send(switched, { email: 'x', password: '' }))).toBe('en');
    expect(langOf(await browser.open(`${stand.issuer}/forgot`))).toBe('en');
  });

  it('tie what is wrong to its field, and sum it up where the focus goes', async () => {
    const page = await fill(stand.browser({ language: 'en' }), { email: 'nobody', password: '' });
    expect(page.status).toBe(400);
    expect(page.text).toMatch(/<title>Error: Sign in/);
    expect(page.text).toMatch(/<div class="summary" id="summary" role="alert" tabindex="-1" autofocus/);
    for (const name of ['email', 'password']) {
      expect(page.text).toContain(`<a href="#${name}">`);
      expect(page.text).toMatch(new RegExp(`<label for="${name}">`));
      expect(page.text).toMatch(new RegExp(`id="${name}"[^>]*aria-describedby="${name}-wrong" aria-invalid="true"`));
      expect(page.text).toContain(`id="${name}-wrong"`);
    }
    expect(page.text.match(/autofocus/g)).toHaveLength(1);
  });

  it('show what people and clients write as text, never as markup', async () => {
    const evil = `"><img src=x onerror=alert(1)>'@example.com`;
    const browser = stand.browser();
    const answers = [
      await fill(browser, { email: evil, password: 'x' }),
      await open(browser, { login_hint: evil }),
      await browser.open(`${stand.issuer}/reset?token=${encodeURIComponent(evil)}`),
      await browser.send(await browser.open(`${stand.issuer}/register`), { email: evil, name: evil, password: '' }),
      await open(browser, { redirect_uri: `https://${evil}`, client_id: evil }),
      await open(browser, { claims: evil, response_type: evil, redirect_uri: evil }),
      await browser.open(`${stand.issuer}/forgot?ui_locales=${encodeURIComponent(evil)}&x=${encodeURIComponent(evil)}`),
    ];
    for (const { text } of answers) {
      expect(text).toContain('<main');
      expect(text).not.toContain('<img');
    }
    const user = stand.users.add({});
    const consent = await fill(browser, { email: user.email }, partner);
    expect(consent.text).toContain('Popcorn &amp; &lt;b&gt;Friends&lt;/b&gt;');
  });

  it('ask for consent where a client is not ours, once', async () => {
    const user = stand.users.add({ name: 'Ana' });
    const browser = stand.browser({ language: 'en' });
    const consent = await fill(browser, { email: user.email }, partner);
    expect(consent.text).toContain('see your name and your language');
    expect(consent.text).toContain(user.email);
    const { url: denied } = await browser.send(consent, {}, '/cancel');
    expect(new URL(denied).searchParams.get('error')).toBe('access_denied');
    const { url } = await browser.send(await open(browser, partner));
    expect(new URL(url).searchParams.get('code')).toBeTruthy();
    expect((await open(browser, partner)).url).toContain('code=');
    expect((await open(browser)).url).toContain('code=');
  });

  it('say the same of a wrong password and of nobody', async () => {
    const user = stand.users.add({});
    const [wrong, nobody] = [
      await fill(stand.browser(), { email: user.email, password: 'wrong' }),
      await fill(stand.browser(), { email: 'nobody@example.com', password: 'wrong' }),
    ];
    const words = ({ text }: Opened) => text.replace(/value="[^"]*"|\/interaction\/[\w-]+/g, '');
    expect([wrong.status, nobody.status]).toEqual([401, 401]);
    expect(words(wrong)).toBe(words(nobody));
    expect(wrong.text).not.toContain('value="wrong"');
  });

  it('tell why a right password does not let in', async () => {
    const browser = stand.browser({ language: 'en' });
    const of = (account: object) => fill(browser, { email: stand.users.add(account).email });
    expect((await of({ disabled: true })).text).toContain('This account is disabled');
    expect((await of({ confirmed: false })).text).toContain('Your e-mail is not confirmed yet');
    expect((await of({ confirmed: false, unconfirmedBy: 'administrator' })).text).toContain(
      'An administrator has yet to confirm',
    );
  });

  it('take a form from this browser only', async () => {
    const [ours, theirs] = [stand.browser(), stand.browser()];
    const user = stand.users.add({});
    const page = await open(ours);
    const uid = /\/interaction\/([\w-]+)/.exec(page.url)![1]!;
    expect((await theirs.open(page.url)).status).toBe(400);
    expect((await ours.send(page, { email: user.email, password: 'correct horse', form: 'guessed' })).status).toBe(400);
    expect((await ours.send(page, { form: 'guessed' }, '/cancel')).status).toBe(400);
    const token = ours.cookies.find(({ name }) => name === '_form')!;
    const { value } = token;
    token.value = 'planted'; // by a neighbour of ours, say, without our signature
    expect((await ours.send(page, { email: user.email, password: 'correct horse', form: 'planted' })).status).toBe(400);
    token.value = value;
    const cross = { headers: { 'sec-fetch-site': 'cross-site' } };
    expect((await ours.send(page, { email: user.email, password: 'correct horse' }, uid, cross)).status).toBe(400);
    for (const path of ['register', 'forgot', 'reset?token=x', 'confirm?token=x']) {
      const form = await theirs.open(`${stand.issuer}/${path}`);
      expect((await theirs.send(form, { email: 'a@example.com', password: 'correct horse', form: '' })).status).toBe(400);
    }
    expect(stand.users.asked).not.toContain('POST /internal/accounts/forgot');
  });

  it('sign nobody in with a password that was changed while it was looked at', async () => {
    const user = stand.users.add({});
    const change = () => setImmediate(() => (user.signedOutAt ??= new Date().toISOString()));
    Object.defineProperty(user, 'password', { get: () => (change(), 'correct horse') });
    const { url, text } = await fill(stand.browser({ language: 'en' }), { email: user.email });
    expect(user.signedOutAt).toBeDefined();
    expect(url).not.toContain('code=');
    expect(text).toContain('name="password"');
  });

  it('take the place of an answer that a script would have to send', async () => {
    const page = await open(stand.browser({ language: 'en' }), { response_mode: 'form_post' });
    expect(page.status).toBe(400);
    expect(page.text).toContain('response_mode form_post is not offered');
    expect(page.text).not.toContain('<script');
    const metadata = await fetch(`${stand.issuer}/.well-known/openid-configuration`);
    expect(await metadata.json()).toMatchObject({ response_modes_supported: ['query'] });
  });

  it('register whoever is new, in the middle of signing in', async () => {
    const browser = stand.browser({ language: 'en' });
    const page = await open(browser);
    const form = await browser.open(page.url + '/register');
    expect((await browser.send(form, { email: 'new@example.com', password: 'short' })).text).toContain('longer or less common');
    const { url } = await browser.send(form, { email: 'new@example.com', password: 'long enough', name: 'Nueva' });
    expect(url).toContain('/signed-in?code=');
    const again = await browser.open((await open(stand.browser())).url).catch(() => undefined);
    expect(again?.status).toBe(400);
    const fresh = stand.browser({ language: 'en' });
    const second = await fresh.open((await open(fresh)).url + '/register');
    expect((await fresh.send(second, { email: 'NEW@example.com', password: 'long enough' })).status).toBe(409);
    const third = await fresh.send(second, { email: 'unconfirmed@example.com', password: 'long enough' });
    expect(third.text).toContain('We sent a link to unconfirmed@example.com');
  });

  it('confirm an e-mail by a press of a button, not by opening the link', async () => {
    const user = stand.users.add({ confirmed: false });
    const browser = stand.browser({ language: 'en' });
    const page = await browser.open(`${stand.issuer}/confirm?token=${user.id}`);
    expect(user.confirmed).toBe(false);
    expect((await browser.send(page)).text).toContain(`${user.email} is confirmed`);
    expect(user.confirmed).toBe(true);
    expect((await browser.send(page, { token: 'used' })).status).toBe(410);
    expect((await browser.open(`${stand.issuer}/confirm`)).status).toBe(410);
  });

  it('let a password be chosen anew, without telling who has an account', async () => {
    const user = stand.users.add({});
    const browser = stand.browser({ language: 'en' });
    const forgot = await browser.open(`${stand.issuer}/forgot`);
    const sent = [await browser.send(forgot, { email: user.email }), await browser.send(forgot, { email: 'nobody@example.com' })];
    const [known, unknown] = sent.map(({ text }) => text.replace(/[\w.-]+@example\.com/g, ''));
    expect(known).toBe(unknown);
    const reset = await browser.open(`${stand.issuer}/reset?token=${user.id}`);
    expect((await browser.send(reset, { password: 'a better horse' })).status).toBe(200);
    const { url } = await fill(browser, { email: user.email, password: 'a better horse' });
    expect(url).toContain('/signed-in?code=');
  });

  it('change accounts by a button, and cancel back to the client', async () => {
    const [one, two] = [stand.users.add({}), stand.users.add({})];
    const browser = stand.browser({ language: 'en' });
    await fill(browser, { email: one.email });
    const other = await fill(browser, { email: two.email }, { prompt: 'login' });
    expect(other.text).toContain('Switch accounts');
    expect(other.text).not.toContain('<script');
    expect((await browser.send(other)).url).toContain('/signed-in?code=');
    const fresh = stand.browser();
    const cancelled = await fresh.send(await open(fresh), {}, '/cancel');
    expect(new URL(cancelled.url).searchParams.get('error')).toBe('access_denied');
  });

  it('answer what is not there, and what is too large, with a page', async () => {
    const browser = stand.browser({ language: 'en' });
    expect((await browser.open(`${stand.issuer}/nothing`)).status).toBe(404);
    expect((await browser.open(`${stand.issuer}/interaction/0123456789abcdef`)).text).toContain('This sign-in has expired');
    const form = await browser.open(`${stand.issuer}/register`);
    expect((await browser.send(form, { email: 'a@example.com', name: 'x'.repeat(20_000), password: 'y' })).status).toBe(413);
  });
});
