import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { randomBytes } from 'node:crypto';
import { heldPurchase } from '../view/sold.contract.js';
import { languageOf, money } from './words.js';
import { Tickets } from './ticket.js';

let tickets: Tickets;
beforeAll(async () => {
  process.env.TICKET_KEY = randomBytes(32).toString('base64url');
  tickets = new Tickets();
  await tickets.onModuleInit();
});
afterAll(() => {
  delete process.env.TICKET_KEY;
  delete process.env.TICKET_KEY_BEFORE;
});

const purchase = heldPurchase();
const forged = expect.objectContaining({ type: 'ticket-forged', status: 400 });
const partsOf = (code: string) => code.split('.').map((part) => Buffer.from(part, 'base64url'));
const jsonOf = (part: Buffer) => JSON.parse(part.toString()) as Record<string, unknown>;

describe('a ticket', () => {
  it('is one for each seat, and says what it is for', async () => {
    const issued = await tickets.issue(purchase);
    expect(issued.map(({ seat }) => seat)).toEqual(['F3', 'F4']);
    const [{ id, code }] = issued as [(typeof issued)[0]];
    const [head, payload] = partsOf(code).slice(0, 2).map(jsonOf);
    const [{ kid }] = tickets.publicKeys() as [{ kid: string }];
    expect(head).toEqual({ alg: 'EdDSA', typ: 'ticket', kid });
    const [exp, iat] = [Date.parse(purchase.show.endAt) / 1000 + 86_400, expect.any(Number)];
    const about = { pur: purchase.id, scr: purchase.screening, cin: purchase.cinema, seat: 'F3' };
    expect(payload).toEqual({ jti: id, aud: 'door', iat, exp: Math.floor(exp), ...about });
    const facts = { ticket: id, purchase: purchase.id, screening: purchase.screening, cinema: purchase.cinema, seat: 'F3' };
    expect(await tickets.read(code)).toEqual(facts);
  });

  it('is checked without asking us, by whoever has the published key', async () => {
    const { code } = (await tickets.issue(purchase))[0]!;
    const keys = tickets.publicKeys();
    const { payload } = await jwtVerify(code, createLocalJWKSet({ keys }), { audience: 'door', typ: 'ticket' });
    expect(payload.seat).toBe('F3');
    const { kty, crv, x } = keys[0]!;
    const key = await crypto.subtle.importKey('jwk', { kty, crv, x }, 'Ed25519', false, ['verify']);
    const [head, body, signature] = code.split('.') as [string, string, string];
    const isGood = (text: string) => crypto.subtle.verify('Ed25519', key, Buffer.from(signature, 'base64url'), Buffer.from(text));
    expect([await isGood(`${head}.${body}`), await isGood(`${head}.${body}x`)]).toEqual([true, false]);
  });

  it('cannot be made or changed by anyone else', async () => {
    const { code } = (await tickets.issue(purchase))[0]!;
    const [head, body, signature] = code.split('.') as [string, string, string];
    const written = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const [said, { kid }] = [jsonOf(Buffer.from(body, 'base64url')), tickets.publicKeys()[0]!];
    const own = await generateKeyPair('EdDSA', { extractable: true });
    const signed = (header: object, key: CryptoKey | Uint8Array) =>
      new SignJWT(said).setProtectedHeader(header as { alg: string }).sign(key);
    const publicBytes = Buffer.from(tickets.publicKeys()[0]!.x!, 'base64url');
    const forgeries = {
      nonsense: 'nonsense',
      empty: '..',
      'another seat': [head, written({ ...said, seat: 'A1' }), signature].join('.'),
      'no signature': [head, body, ''].join('.'),
      'alg none': [written({ alg: 'none', typ: 'ticket', kid }), body, ''].join('.'),
      'our key as a shared secret': await signed({ alg: 'HS256', typ: 'ticket', kid }, publicBytes),
      'a key of their own': await signed({ alg: 'EdDSA', typ: 'ticket', kid }, own.privateKey),
      'a key that it brings': await signed({ alg: 'EdDSA', typ: 'ticket', jwk: await exportJWK(own.publicKey) }, own.privateKey),
    };
    for (const [what, forgery] of Object.entries(forgeries))
      expect([what, await tickets.read(forgery).catch((error: unknown) => error)]).toEqual([what, forged]);
  });

  it('is nothing else that our key has signed', async () => {
    const { ticketKeys } = await import('./key.js');
    const [{ kid, privateKey }] = await ticketKeys();
    const make = (typ: string, audience: string, exp: number) =>
      new SignJWT({ seat: 'A1' })
        .setProtectedHeader({ alg: 'EdDSA', typ, kid })
        .setJti('1')
        .setAudience(audience)
        .setExpirationTime(exp)
        .sign(privateKey);
    const later = Math.floor(Date.now() / 1000) + 600;
    await expect(tickets.read(await make('at+jwt', 'door', later))).rejects.toEqual(forged);
    await expect(tickets.read(await make('ticket', 'api', later))).rejects.toEqual(forged);
    const over = expect.objectContaining({ type: 'screening-over', status: 409 });
    await expect(tickets.read(await make('ticket', 'door', later - 1200))).rejects.toEqual(over);
  });

  it('stays good when the key is replaced and the one before is kept', async () => {
    const { code } = (await tickets.issue(purchase))[0]!;
    process.env.TICKET_KEY_BEFORE = process.env.TICKET_KEY;
    process.env.TICKET_KEY = randomBytes(32).toString('base64url');
    const renewed = new Tickets();
    await renewed.onModuleInit();
    expect(await renewed.read(code)).toMatchObject({ seat: 'F3' });
    expect(renewed.publicKeys()).toHaveLength(2);
    const { code: next } = (await renewed.issue(purchase))[0]!;
    await expect(tickets.read(next)).rejects.toEqual(forged);
  });

  it('is signed by nothing but a key of 32 bytes', async () => {
    process.env.TICKET_KEY = 'c2hvcnQ';
    await expect(new Tickets().onModuleInit()).rejects.toThrow('TICKET_KEY must be 32 bytes in base64url');
  });
});

describe('words', () => {
  it('are in the language that is asked for most, or in Spanish', () => {
    const asked = [
      undefined,
      '',
      'en',
      'en-GB,en;q=0.9',
      'es;q=0.4, en;q=0.6',
      'en;q=0, es',
      'fr, *;q=0.5',
      'de;q=x',
      '*, en;q=0.1',
    ];
    expect(asked.map(languageOf)).toEqual(['es', 'es', 'en', 'en', 'en', 'es', 'es', 'es', 'es']);
  });

  it('count money in as many digits as its currency has', () => {
    const spaced = (text: string) => text.replaceAll('\u00a0', ' ');
    expect(spaced(money(2550, 'PEN', 'es'))).toBe('S/ 25.50');
    expect(spaced(money(7500, 'CLP', 'es'))).toBe('$7.500');
    expect(spaced(money(7500, 'CLP', 'en'))).toBe('CLP 7,500');
    expect(spaced(money(1999, 'USD', 'en'))).toBe('$19.99');
  });
});
