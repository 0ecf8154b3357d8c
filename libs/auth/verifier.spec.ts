import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, type JSONWebKeySet } from 'jose';
import { KeySet, RevocationFeed, type Revoked, Verifier } from '#auth';
import { fileSettings } from '#config';
import { silentLog } from '#log';
import type { Problem } from '#problem';
import { FORGERIES, forger } from '#testing';
import { AuthConfig } from './auth-section.js';

const defaults = (): AuthConfig =>
  fileSettings({ process: 'test', profile: 'test', sections: [AuthConfig], log: silentLog }).section(AuthConfig);
const status = (work: Promise<unknown>): Promise<number> =>
  work.then(
    () => 200,
    (error: Problem) => error.status,
  );

describe('the verifier of the gateway', () => {
  it.each(FORGERIES)('refuses a token %s', async (_, forge) => {
    const mint = await forger();
    const verifier = new Verifier(mint.issuer, 10);
    expect(await status(verifier.verify(await forge(mint)))).toBe(401);
    expect(verifier.size).toBe(0);
  });

  it('verifies a token once', async () => {
    const mint = await forger();
    const verifier = new Verifier(mint.issuer, 10);
    const token = await mint.token();
    for (let i = 0; i < 5; i++) expect(await verifier.verify(token)).toMatchObject({ id: 'u1', client: 'web', sessionId: 's1' });
    expect(mint.asked()).toBe(1);
  });

  it('remembers no more than it may, and none past its end', async () => {
    const mint = await forger();
    let nowMs = Date.now();
    const verifier = new Verifier(mint.issuer, 2, () => nowMs);
    const tokens = await Promise.all(['a', 'b', 'c'].map((sub) => mint.token({ sub })));
    for (const token of tokens) await verifier.verify(token);
    expect(verifier.size).toBe(2);
    const asked = mint.asked();
    nowMs += 301_000;
    await verifier.verify(tokens[2]!); // real clocks say it is good, so it is only verified anew
    expect(mint.asked()).toBe(asked + 1);
  });

  it('asks each time whether a token was revoked', async () => {
    const mint = await forger();
    const verifier = new Verifier(mint.issuer, 10);
    const token = await mint.token();
    await verifier.verify(token);
    mint.revoked.add('sid:s1');
    expect(await status(verifier.verify(token))).toBe(401);
    expect(verifier.size).toBe(0);
  });
});

describe('the issuer’s keys', () => {
  const published = async (kid: string) => ({
    ...(await exportJWK((await generateKeyPair('ES256')).publicKey)),
    kid,
    use: 'sig',
  });
  let fetches: number, set: JSONWebKeySet | undefined, nowMs: number, keys: KeySet;
  beforeEach(() => {
    [fetches, nowMs, set] = [0, 0, undefined];
    const fetch = () => (fetches++, set ? Promise.resolve(set) : Promise.reject(new Error('away')));
    keys = new KeySet(fetch, { keysMinAgeMs: 30_000, keysMaxAgeMs: 300_000, retryMs: 1000 }, () => nowMs);
  });

  it('are fetched once for many tokens at once, and once in 30 s whatever keys are named', async () => {
    set = { keys: [await published('k1')] };
    const found = await Promise.all(Array.from({ length: 50 }, () => keys.find('k1', 'ES256')));
    expect(found.every(Boolean)).toBe(true);
    for (let i = 0; i < 100; i++) expect(await keys.find(`made-up-${i}`, 'ES256')).toBeUndefined();
    expect(fetches).toBe(1);
    nowMs += 30_000;
    for (let i = 0; i < 100; i++) await keys.find(`made-up-${i}`, 'ES256');
    expect(fetches).toBe(2);
  });

  it('are those for signatures, and for the algorithm they are published for', async () => {
    set = { keys: [await published('k1'), { ...(await published('k2')), use: 'enc' }] };
    expect(await keys.find('k1', 'RS256')).toBeUndefined();
    expect(await keys.find('k2', 'ES256')).toBeUndefined();
    expect(await keys.find('k1', 'none')).toBeUndefined();
  });

  it('follow a rotation, and forget what was withdrawn', async () => {
    const [first, second] = [await published('k1'), await published('k2')];
    set = { keys: [first] };
    await keys.find('k1', 'ES256');
    nowMs += 40_000;
    set = { keys: [second, first] };
    expect(await keys.find('k2', 'ES256')).toBeDefined();
    expect(await keys.find('k1', 'ES256')).toBeDefined();
    nowMs += 301_000;
    set = { keys: [second] };
    await keys.find('k2', 'ES256');
    await sleep(5);
    expect(await keys.find('k1', 'ES256')).toBeUndefined();
  });

  it('are 503 while there are none, and asked for again a second later', async () => {
    expect(await status(keys.find('k1', 'ES256'))).toBe(503);
    expect(await status(keys.find('k1', 'ES256'))).toBe(503);
    expect(fetches).toBe(1);
    nowMs += 1000;
    set = { keys: [await published('k1')] };
    expect(await keys.find('k1', 'ES256')).toBeDefined();
  });
});

describe('the feed of revocations', () => {
  let news: ((said: Revoked) => void)[], asked: [number, number][], feed: RevocationFeed, isAway: boolean;
  beforeEach(() => {
    [news, asked, isAway] = [[], [], false];
    const ask = (after: number, waitSeconds: number) => {
      asked.push([after, waitSeconds]);
      return isAway ? Promise.reject(new Error('away')) : new Promise<Revoked>((tell) => news.push(tell));
    };
    feed = new RevocationFeed(ask, Object.assign(defaults(), { firstWordMs: 200, retryMs: 20 }));
  });
  afterEach(() => feed.close());
  const tell = async (said: Revoked) => {
    news.shift()!(said);
    await sleep(1);
  };

  it('lets nobody in before its first word', async () => {
    const question = feed.has(['sid:1']);
    await sleep(1);
    await tell({ last: 7, ids: ['sid:1'] });
    expect(await question).toBe(true);
    expect(asked).toEqual([
      [0, 0],
      [7, 10],
    ]);
  });

  it('is 503 when that does not come', async () => {
    expect(await status(feed.has(['sid:1']))).toBe(503);
  });

  it('hears of more as it comes, and outlives the issuer’s absence', async () => {
    const question = feed.has(['sid:1']);
    await sleep(1);
    await tell({ last: 1, ids: [] });
    expect(await question).toBe(false);
    isAway = true;
    await tell({ last: 2, ids: ['sid:1'] });
    expect(await feed.has(['gid:9', 'sid:1'])).toBe(true);
    await sleep(50);
    isAway = false;
    await sleep(50);
    await tell({ last: 3, ids: ['gid:9'] });
    expect(await feed.has(['gid:9'])).toBe(true);
  });

  it('forgets what no living token can have', async () => {
    feed.close();
    let nowMs = 0;
    const told = [{ last: 1, ids: ['sid:1'] }];
    const ask = () => (told.length ? Promise.resolve(told.shift()!) : sleep(5, { last: 2, ids: ['sid:2'] }));
    feed = new RevocationFeed(ask, defaults(), () => nowMs);
    expect(await feed.has(['sid:1'])).toBe(true);
    nowMs = 361_000;
    await sleep(30);
    expect(await feed.has(['sid:1'])).toBe(false);
    expect(await feed.has(['sid:2'])).toBe(true);
  });
});
