import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MailConfig } from '#mail';
import { Storage } from '#storage';
import { tokenIn, Users } from '../contract.js';
import { UserConfig } from '../user-section.js';
import { UserCommand } from '../user.command.js';

const users = new Users();
let config: UserConfig, mail: MailConfig;
beforeAll(async () => {
  await users.start([UserCommand], {
    ...{ 'user.confirmation': 'email', 'user.resetEverySeconds': 0, 'mail.pollMs': 50, 'mail.retryMinMs': 20 },
  });
  config = users.mesh.running('user-command').app.get(UserConfig);
  mail = users.mesh.running('user-command').app.get(MailConfig);
});
afterAll(() => users.stop());

const sql = <T>(text: string, params: unknown[] = []) =>
  users.mesh.running('user-command').app.get(Storage).query<T>(text, params);
const expired = { status: 410, body: expect.objectContaining({ type: '/problems/link-expired' }) };
const statusOf = ({ status, body }: { status: number; body: object }) => ({ status, body });

/** A mail server as far as its client needs one. It refuses every message until it is told not to. */
class MailServer {
  readonly taken: string[] = [];
  tries = 0;
  isRefusing = true;
  private readonly server: Server = createServer((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.write('220 test\r\n');
    socket.on('data', (chunk) => {
      text += chunk.toString();
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        if (/^DATA/i.test(text)) {
          if (!text.includes('\r\n.\r\n')) {
            if (text === 'DATA\r\n') socket.write('354 go on\r\n');
            return;
          }
          this.taken.push(text);
          text = '';
          socket.write('250 taken\r\n');
          continue;
        }
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (/^DATA/i.test(line)) {
          text = `DATA\r\n${text}`;
          socket.write('354 go on\r\n');
          return;
        }
        const isMail = /^MAIL/i.test(line);
        if (isMail) this.tries++;
        socket.write(isMail && this.isRefusing ? '451 later\r\n' : /^QUIT/i.test(line) ? '221 bye\r\n' : '250 ok\r\n');
      }
    });
  });

  listen = () => new Promise<void>((done) => this.server.listen(0, '127.0.0.1', done));
  close = () => new Promise((done) => this.server.close(done));
  get url() {
    return `smtp://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

it('a registration is confirmed by the link in its e-mail, once', async () => {
  const { id, email } = await users.register({ name: 'Ana', language: 'en' });
  expect((await users.check(email, 'correct horse 1')).body).toEqual({ outcome: 'unconfirmed', by: 'email' });
  const [mail] = await users.mails(id);
  expect(mail).toMatch(/^Subject: Confirm your e-mail address$/m);
  expect(mail).toMatch(new RegExp(`^To: ${email}$`, 'im'));
  expect(mail).toMatch(/^http:\/\/localhost:8080\/oauth\/confirm\?token=[\w-]{43}$/m);
  expect(mail).toMatch('for 3 days');
  const token = tokenIn(mail);
  expect(statusOf(await users.internal('reset', { token, password: 'another horse 2' }))).toEqual(expired);
  expect(statusOf(await users.internal('confirm', { token }))).toEqual({ status: 200, body: { email } });
  expect((await users.check(email, 'correct horse 1')).body.outcome).toBe('ok');
  expect(statusOf(await users.internal('confirm', { token }))).toEqual(expired);
});

it('an administrator confirms as well', async () => {
  const { id, email } = await users.register();
  await users.post(`/api/users/${id}/confirm`, {}, await users.admin()).expect(200);
  expect((await users.check(email, 'correct horse 1')).body.outcome).toBe('ok');
});

it('is in Spanish where nothing else is known, and for nobody but us to read', async () => {
  const { id } = await users.register({ language: undefined });
  const [mail] = await users.mails(id);
  expect(mail).toMatch(/^Content-Transfer-Encoding: 8bit$/m);
  expect(mail).toMatch('Alguien se registró en CineManzana');
  const [file] = readdirSync(users.outbox).filter((name) => name.includes(id));
  expect(statSync(join(users.outbox, file!)).mode & 0o777).toBe(0o600);
});

describe('a forgotten password', () => {
  const forgot = async (email: string) => expect((await users.internal('forgot', { email })).status).toBe(204);

  it('is set anew by a link, once, which confirms the address and ends the sessions', async () => {
    const { id, email } = await users.register();
    await forgot(email.toUpperCase());
    const token = tokenIn((await users.mails(id, 2)).find((mail) => mail.includes('/oauth/reset')));
    const reset = (password: string) => users.internal('reset', { token, password });
    expect((await reset('password123')).status).toBe(400);
    const both = await Promise.all([reset('another horse 2'), reset('another horse 2')]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 410]);
    expect((await users.check(email, 'another horse 2')).body.outcome).toBe('ok');
    const [row] = await sql<{ signedOutAt: string }>('SELECT "signedOutAt" FROM account WHERE id = $1', [id]);
    expect(row!.signedOutAt).toMatch(/Z$/);
  });

  it('of nobody is answered alike, and sends nothing', async () => {
    const before = readdirSync(users.outbox).length;
    await forgot('nobody@example.org');
    for (let i = 0; i < 60 && (await sql('SELECT 1 FROM mail')).length > 0; i++) await sleep(50);
    expect([readdirSync(users.outbox).length, await sql('SELECT 1 FROM mail')]).toEqual([before, []]);
  });

  it('is not asked for again and again', async () => {
    const { id, email } = await users.register();
    config.resetEverySeconds = 60;
    for (let i = 0; i < 5; i++) await forgot(email);
    for (let i = 0; i < 60 && (await sql('SELECT 1 FROM mail')).length > 0; i++) await sleep(50);
    config.resetEverySeconds = 0;
    expect((await users.mails(id)).filter((mail) => mail.includes('/oauth/reset'))).toHaveLength(1);
  });

  it('has a link that does not work for long, and is kept as a hash', async () => {
    const { id, email } = await users.register();
    await forgot(email);
    const token = tokenIn((await users.mails(id, 2)).find((mail) => mail.includes('/oauth/reset')));
    expect(JSON.stringify(await sql("SELECT encode(hash, 'escape') FROM link"))).not.toContain(token);
    await sql(`UPDATE link SET "expiresAt" = now() WHERE "userId" = $1`, [id]);
    expect(statusOf(await users.internal('reset', { token, password: 'another horse 2' }))).toEqual(expired);
  });
});

it('outlives a mail server that refuses it, and a process that ends meanwhile', async () => {
  const server = new MailServer();
  await server.listen();
  mail.smtpUrl = server.url;
  const { email } = await users.register();
  for (let i = 0; i < 60 && server.tries < 3; i++) await sleep(50);
  expect([server.tries >= 3, server.taken]).toEqual([true, []]);
  server.isRefusing = false;
  for (let i = 0; i < 60 && server.taken.length === 0; i++) await sleep(50);
  const taken = server.taken[0]!.replaceAll('=\r\n', '').replaceAll('=3D', '=').replaceAll('\r\n', '\n');
  expect(taken).toMatch(new RegExp(`^To: ${email}$`, 'im'));
  expect((await users.internal('confirm', { token: tokenIn(taken) })).status).toBe(200);
  expect(server.taken).toHaveLength(1);

  server.isRefusing = true;
  const other = await users.register();
  for (let i = 0; i < 60 && (await sql('SELECT 1 FROM mail WHERE tries > 0')).length === 0; i++) await sleep(50);
  await users.mesh.running('user-command').close({ hasty: true });
  await server.close();
  // The next one has no mail server, so it puts what waits into a file.
  const next = await users.mesh.launch(UserCommand);
  await next.app.get(Storage).query('UPDATE mail SET "dueAt" = now()');
  expect(tokenIn((await users.mails(other.id))[0])).not.toBe('');
});
