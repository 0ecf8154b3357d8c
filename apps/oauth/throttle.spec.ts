import { setTimeout as sleep } from 'node:timers/promises';
import { networkOf } from './store/throttle.js';
import { type Stand, startStand } from './stand/stand.contract.js';

describe('sign-in', () => {
  let stand: Stand;
  beforeAll(async () => {
    stand = await startStand({ 'oauth.pauseSeconds': 1, 'oauth.pauseLimitSeconds': 60, 'oauth.wrongPerAddress': 20 });
  }, 60_000);
  afterAll(() => stand?.stop());

  const attempt = async (email: string, password: string, address: string, headers: Record<string, string> = {}) => {
    const browser = stand.browser({ address, language: 'en' });
    const page = await browser.open(stand.authorization());
    const answer = await browser.send(page, { email, password }, undefined, { headers });
    return { ...answer, wait: Number(answer.headers.get('retry-after')) };
  };
  const wrong = async (times: number, email: string, address: string) => {
    const statuses: number[] = [];
    for (let i = 0; i < times; i++) statuses.push((await attempt(email, 'wrong', address)).status);
    return statuses;
  };

  it('pauses after ten wrong passwords, longer each time, for that address alone', async () => {
    const { email } = stand.users.add({});
    expect(await wrong(10, email, '198.51.100.1')).toEqual(Array(10).fill(401));
    const paused = await attempt(email.toUpperCase(), 'correct horse', '198.51.100.1');
    expect([paused.status, paused.wait]).toEqual([429, 1]);
    expect(paused.text).toContain('Too many attempts. Wait a minute');
    const asked = stand.users.asked.length;
    expect((await attempt(email, 'wrong', '198.51.100.1', { 'x-forwarded-for': '192.0.2.77' })).status).toBe(429);
    expect(stand.users.asked.length).toBe(asked);
    // Its owner sits elsewhere.
    expect((await attempt(email, 'correct horse', '198.51.100.2')).url).toContain('code=');
    await sleep(1100);
    expect((await attempt(email, 'wrong', '198.51.100.1')).status).toBe(401);
    expect((await attempt(email, 'wrong', '198.51.100.1')).wait).toBe(2);
  });

  it('takes plain letters alone: a database finds one account by several others, and each would be counted by itself', async () => {
    const asked = stand.users.asked.length;
    for (const email of ['\u0130vi@example.com', '\u212Aim@example.com'])
      expect((await attempt(email, 'wrong', '198.51.100.60')).status).toBe(400);
    expect(stand.users.asked.length).toBe(asked);
  });

  it('forgives all when the password is right', async () => {
    const { email } = stand.users.add({});
    await wrong(9, email, '198.51.100.6');
    expect((await attempt(email, 'correct horse', '198.51.100.6')).url).toContain('code=');
    expect(await wrong(2, email, '198.51.100.6')).toEqual([401, 401]);
  });

  it('pauses for accounts that do not exist as well', async () => {
    expect((await wrong(11, 'nobody@example.com', '198.51.100.3')).at(-1)).toBe(429);
  });

  it('looks at ten of a hundred passwords that come at once', async () => {
    const { email } = stand.users.add({});
    const before = stand.users.asked.length;
    const statuses = await Promise.all(
      Array.from({ length: 25 }, async () => (await attempt(email, 'wrong', '198.51.100.4')).status),
    );
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.filter((status) => status === 429)).toHaveLength(15);
    expect(stand.users.asked.length - before).toBe(10);
  });

  it('has a wider limit for one address with many accounts', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 21; i++) statuses.push((await attempt(`user${i}@example.com`, 'wrong', '198.51.100.5')).status);
    expect(statuses.at(19)).toBe(401);
    expect(statuses.at(20)).toBe(429);
  });

  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:0:1:2:3:4:5', '2001:db8:0:1::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('counts %s as %s', (address, network) => expect(networkOf(address)).toBe(network));
});
