import { randomUUID } from 'node:crypto';
import { runWith, newContext } from '#context';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { PurchaseConfig } from '../purchase-section.js';
import { Hall, request } from './hall.contract.js';
import type { HoldOutcome, HoldRequest } from './statement.js';
import { Till } from './till.js';

/** Two hundred seats in ten rows. */
const ROWS = [...'ABCDEFGHIJ'];
const layout = ROWS.map((name) => ({ name, seats: 's'.repeat(20) }));
const SEATS = ROWS.flatMap((row) => Array.from({ length: 20 }, (_, i) => `${row}${i + 1}`));
const BUYERS = 64;

let hall: Hall;
beforeAll(async () => (hall = await Hall.open({ 'storage.statementTimeoutMs': 5000, 'storage.lockTimeoutMs': 5000 })));
afterAll(() => hall.stop());

const plan = () => hall.plan({ layout });
/** What joint calls failed of: a deadlock would be mended without a word by going one by one. */
const failures: unknown[] = [];
const log = Object.assign(Object.create(silentLog) as typeof silentLog, { warn: (...said: unknown[]) => failures.push(said) });
const till = (over: Partial<PurchaseConfig> = {}, storage = hall.storage) => {
  const config = Object.assign(new PurchaseConfig(), hall.mesh.running('purchase-command').app.get(PurchaseConfig), over);
  return new Till(storage, config, log, new Metrics('test'));
};
/** The hall's storage, and which seats each of its calls asked for. */
function watched() {
  const calls: string[][] = [];
  const storage = Object.create(hall.storage) as typeof hall.storage;
  storage.statement = (sql, params, did) => {
    const requests = [JSON.parse(String(params[0])) as HoldRequest | HoldRequest[]].flat();
    calls.push(requests.map(({ seats }) => seats.join('+')));
    return hall.storage.statement(sql, params, did);
  };
  return { storage, calls };
}
/** Different numbers, the same each time: a generator of Lehmer's. */
const dice = (seed: number) => () => (seed = (seed * 48271) % 2147483647) / 2147483647;
const some = (luck: () => number, count: number) => [...SEATS].sort(() => luck() - 0.5).slice(0, count);

/** A buyer who tries until no more can be had, and what became of each try. */
async function buy(
  at: (request: HoldRequest) => Promise<HoldOutcome>,
  screening: string,
  wishes: readonly (readonly string[])[],
) {
  const got: { id: string; seats: readonly string[] }[] = [];
  for (const seats of wishes) {
    const wish = request(screening, seats);
    if ((await at(wish)).outcome === 'held') got.push({ id: wish.id, seats });
  }
  return got;
}

/** What is wrong with how seats were given: none may be sold twice, and nobody may have a part of what they asked for. */
async function faultsOf(screening: string, told: readonly { id: string; seats: readonly string[] }[]): Promise<string[]> {
  const sold = new Map<string, number>();
  for (const { seats } of told) for (const seat of seats) sold.set(seat, (sold.get(seat) ?? 0) + 1);
  const twice = [...sold].filter(([, times]) => times > 1).map(([seat]) => `${seat} is sold twice`);
  const claims = await hall.desk.sql<{ seat: string; purchase: string }>('SELECT seat, purchase FROM seat_claim WHERE screening = $1', [screening]); // prettier-ignore
  const owner = new Map(claims.map(({ seat, purchase }) => [seat, purchase]));
  const lost = told.flatMap(({ id, seats }) =>
    seats.filter((seat) => owner.get(seat) !== id).map((seat) => `${seat} is not ${id}'s`),
  );
  const known = new Set(told.map(({ id }) => id));
  const stray = claims.filter(({ purchase }) => !known.has(purchase)).map(({ seat }) => `${seat} is nobody's that was told so`);
  const rows = await hall.desk.sql<{ id: string }>('SELECT id FROM purchase WHERE screening = $1', [screening]);
  const unknown = rows.filter(({ id }) => !known.has(id)).map(({ id }) => `${id} is stored and was not told`);
  return [...twice, ...lost, ...stray, ...unknown, ...(rows.length === told.length ? [] : ['a purchase is missing'])];
}

describe('sixty-four buyers at once', () => {
  it.each([
    ['jointly', [{}]],
    ['jointly, at two tills that know nothing of each other', [{}, {}]],
    ['one by one', [{ jointHolds: 1, holdsAtOnce: 3 }]],
    ['jointly beside a till that takes them one by one', [{}, { jointHolds: 1, holdsAtOnce: 3 }]],
  ])('never get a seat twice nor a part of what they ask for, %s', async (_, tills) => {
    const [id, open, luck] = [await plan(), tills.map((over) => till(over)), dice(7)];
    const wishes = () => Array.from({ length: 12 }, () => some(luck, 1 + Math.floor(luck() * 5)));
    const buyers = Array.from({ length: BUYERS }, (_, n) => buy((wish) => open[n % open.length]!.hold(wish), id, wishes()));
    const told = (await Promise.all(buyers)).flat();
    expect(await faultsOf(id, told)).toEqual([]);
    expect(failures).toEqual([]);
    expect(told.length).toBeGreaterThan(40);
  });

  it('who take one seat each sell the house out', async () => {
    const [id, one, luck] = [await plan(), till(), dice(11)];
    // Each tries a quarter of the house, so that sixteen want each seat.
    const quarter = (n: number) => some(luck, 200).filter((seat) => SEATS.indexOf(seat) % 4 === n % 4);
    const at = (wish: HoldRequest) => one.hold(wish);
    const buyers = Array.from({ length: BUYERS }, (_, n) => buy(at, id, quarter(n).map((seat) => [seat]))); // prettier-ignore
    const told = (await Promise.all(buyers)).flat();
    expect(await faultsOf(id, told)).toEqual([]);
    expect(told).toHaveLength(200);
  });

  it('who want the same seats, which lapse at once, never wait for each other in a ring', async () => {
    const [id, one] = [await plan(), till({ jointHolds: 1, holdsAtOnce: 3 })];
    const wish = () => one.hold(request(id, SEATS.slice(0, 10), { holdSeconds: 0 }));
    const outcomes = await Promise.all(Array.from({ length: 150 }, wish));
    expect(outcomes.map(({ outcome }) => outcome)).toContain('held');
  });

  it('are sold seats twice by one who looks first and writes then, which this checker sees', async () => {
    const [id, luck] = [await plan(), dice(13)];
    await hall.storage.query('CREATE TABLE naive_claim (seat text, purchase uuid)');
    const naive = async ({ id: purchase, seats }: HoldRequest): Promise<HoldOutcome> => {
      const found = await hall.storage.query('SELECT 1 FROM naive_claim WHERE seat = ANY($1)', [seats]);
      if (found.length > 0) return { outcome: 'taken', said: null };
      await hall.storage.query('INSERT INTO naive_claim SELECT unnest($1::text[]), $2', [seats, purchase]);
      return { outcome: 'held', said: { at: '', heldUntilAt: '' } };
    };
    const buyers = Array.from({ length: BUYERS }, () =>
      buy(
        naive,
        id,
        Array.from({ length: 3 }, () => some(luck, 2)),
      ),
    );
    const told = (await Promise.all(buyers)).flat();
    await hall.storage.query('DROP TABLE naive_claim');
    expect((await faultsOf(id, told)).filter((fault) => /twice/.test(fault)).length).toBeGreaterThan(0);
  });
});

/** The next turn of the event loop. */
const turn = () => new Promise((done) => setImmediate(done));

describe('the till', () => {
  /** The first comes alone, and the others in the turn after. */
  async function oneThenAll(one: Till, requests: readonly HoldRequest[]) {
    const [first, ...others] = requests;
    const alone = one.hold(first!);
    await turn();
    return Promise.all([alone, ...others.map((each) => one.hold(each))]);
  }

  it('serves one who comes alone at once, those who come meanwhile jointly, and the earlier of two first', async () => {
    const [id, { storage, calls }] = [await plan(), watched()];
    const one = till({ holdsAtOnce: 1 }, storage);
    const wishes = [['A1'], ['A2', 'A3'], ['A3', 'A4'], ['A4'], ['A5']];
    const outcomes = await oneThenAll(one, wishes.map((seats) => request(id, seats))); // prettier-ignore
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['held', 'held', 'taken', 'held', 'held']);
    // A4 was first asked for by one who waits: who comes later waits behind.
    expect(calls).toEqual([['A1'], ['A2+A3', 'A5'], ['A3+A4'], ['A4']]);
  });

  it('lets two calls go at a time, but none for what the other may get', async () => {
    const [id, { storage, calls }] = [await plan(), watched()];
    const one = till({ holdsAtOnce: 2 }, storage);
    const wishes = [['A1'], ['A1', 'A2'], ['A3'], ['A2'], ['A4']];
    const outcomes = await oneThenAll(one, wishes.map((seats) => request(id, seats))); // prettier-ignore
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['held', 'taken', 'held', 'held', 'held']);
    expect(calls.slice(0, 2)).toEqual([['A1'], ['A3', 'A4']]);
    const [first, second] = ['A1+A2', 'A2'].map((seats) => calls.findIndex((call) => call.includes(seats)));
    expect(first).toBeLessThan(second!);
  });

  it('serves those who come in one turn in one call', async () => {
    const [id, { storage, calls }] = [await plan(), watched()];
    const one = till({}, storage);
    await Promise.all(['A1', 'A2', 'A3'].map((seat) => one.hold(request(id, [seat]))));
    expect(calls).toEqual([['A1', 'A2', 'A3']]);
  });

  it('lets nobody suffer for what is wrong with another', async () => {
    const [id, one] = [await plan(), till({ holdsAtOnce: 1 })];
    const wrong = request(id, ['A3'], { overAt: 'no time' });
    const all = await Promise.allSettled([request(id, ['A1']), request(id, ['A2']), wrong, request(id, ['A4'])].map((each) => one.hold(each))); // prettier-ignore
    expect(all.map((each) => (each.status === 'fulfilled' ? each.value.outcome : 'failed'))).toEqual([
      'held',
      'held',
      'failed',
      'held',
    ]);
    expect(failures.splice(0)).toEqual([
      ['seats were not taken jointly, now one by one', expect.objectContaining({ requests: 4 })],
    ]);
  });

  it('counts what one holds though they ask at two tills at once', async () => {
    const [id, tills, holder] = [await plan(), [till(), till()], randomUUID()];
    const of = (seats: readonly string[]) => {
      const { body, ...rest } = request(id, seats, { holder, mostHeld: 10 });
      return { ...rest, body: { ...body, customer: holder } };
    };
    const wishes = ROWS.map((row) => [1, 2, 3, 4].map((n) => `${row}${n}`));
    const outcomes = await Promise.all(wishes.map((seats, n) => tills[n % 2]!.hold(of(seats))));
    expect(outcomes.filter(({ outcome }) => outcome === 'held')).toHaveLength(2);
    expect(outcomes.filter(({ outcome }) => outcome === 'too-many-held')).toHaveLength(8);
  });

  it('refuses more than may wait, and does not begin what nobody waits for any more', async () => {
    const [id, one] = [await plan(), till({ holdsWaiting: 2, holdsAtOnce: 1 })];
    const late = newContext({ deadlineAt: Date.now() - 1 });
    const first = one.hold(request(id, ['A1']));
    await turn();
    const asked = [
      first,
      runWith(late, () => one.hold(request(id, ['A2']))),
      one.hold(request(id, ['A3'])),
      one.hold(request(id, ['A4'])),
    ];
    const all = await Promise.allSettled(asked);
    const said = all.map((each) => (each.status === 'fulfilled' ? each.value.outcome : (each.reason as { type: string }).type));
    expect(said).toEqual(['held', 'deadline-exceeded', 'held', 'too-busy']);
    expect(await hall.claimed(id)).toEqual(['A1', 'A3']);
  });
});
