import { randomUUID } from 'node:crypto';
import { Hall } from '../hold/hall.contract.js';

let hall: Hall, show: string;
beforeAll(async () => {
  hall = await Hall.open({ 'storage.lockTimeoutMs': 5000, 'storage.statementTimeoutMs': 5000 });
});
beforeEach(async () => (show = await hall.plan({ cinema: randomUUID() })));
afterAll(() => hall.stop());

const cinemaOf = async () => (await hall.desk.sql<{ cinema: string }>('SELECT cinema FROM known_screening WHERE id = $1', [show]))[0]!.cinema; // prettier-ignore
const entry = (over: object = {}) => {
  const all = { posting: randomUUID(), account: 'cash', amount: 100, currency: 'PEN', ...over };
  return hall.storage.query(
    `INSERT INTO ledger_entry (id, posting, purchase, screening, cinema, kind, account, "amountMinor", currency)
     VALUES (gen_random_uuid(), $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'sale', $2, $3, $4)`,
    [all.posting, all.account, all.amount, all.currency],
  );
};

it('numbers receipts from one without a gap, though some of fifty payments at once fail', async () => {
  const customer = await hall.customer();
  const seats = [...'ABCD'].flatMap((row) => Array.from({ length: 10 }, (_, i) => `${row}${i + 1}`)).slice(0, 25);
  await hall.storage.query(`UPDATE known_screening SET state = jsonb_set(state, '{policy,seatsHeldAtOnce}', '100') WHERE id = $1`, [show]); // prettier-ignore
  const held = await Promise.all(seats.map((seat) => hall.hold(customer, show, [seat])));
  const pay = (id: string, fails: boolean) =>
    hall.storage.transaction(async () => {
      await hall.sales.payInCash(id, 'cashier');
      if (fails) throw new Error('the transaction fails after its number was drawn');
    });
  const paid = await Promise.allSettled(held.flatMap(({ id }, n) => [pay(id, n % 3 === 0), pay(id, n % 3 === 0)]));
  const good = paid.filter(({ status }) => status === 'fulfilled').length;
  expect(good).toBe(held.filter((_, n) => n % 3 !== 0).length);
  const rows = await hall.desk.sql<{ receipt: number }>('SELECT receipt FROM purchase WHERE screening = $1 AND receipt IS NOT NULL ORDER BY receipt', [show]); // prettier-ignore
  expect(rows.map(({ receipt }) => receipt)).toEqual(Array.from({ length: good }, (_, i) => i + 1));
  await hall.sales.refund(held[1]!.id, 'staff');
  const [first] = await hall.desk.sql('SELECT kind, last FROM receipt_counter WHERE cinema = $1 ORDER BY kind', [await cinemaOf()]); // prettier-ignore
  expect(first).toEqual({ kind: 'credit-note', last: 1 });
});

it('keeps nothing that does not balance, currency by currency', async () => {
  const unbalanced = /does not balance/;
  await expect(entry()).rejects.toThrow(unbalanced);
  const posting = randomUUID();
  const both = (other: object) =>
    hall.storage.transaction(async () => {
      await entry({ posting });
      await entry({ posting, account: 'sales', amount: -100, ...other });
    });
  await expect(both({ amount: -99 })).rejects.toThrow(unbalanced);
  await expect(both({ currency: 'CLP' })).rejects.toThrow(unbalanced);
  await both({});
  await expect(entry({ posting, amount: 1 })).rejects.toThrow(unbalanced);
});

it('keeps what is written as it is', async () => {
  for (const change of ['UPDATE ledger_entry SET "amountMinor" = 0', 'DELETE FROM ledger_entry', 'TRUNCATE ledger_entry'])
    await expect(hall.storage.query(change)).rejects.toThrow(/for ever/);
});
