import { randomUUID } from 'node:crypto';
import { migrationFor, Storage } from '#storage';
import { Hall } from './hold/hall.contract.js';
import { PurchaseQuery } from './purchase.query.js';

let hall: Hall;
beforeAll(async () => (hall = await Hall.open({}, [PurchaseQuery])));
afterAll(() => hall.stop());

it('is seen by its buyer from the hold to the end', async () => {
  const [ana, show] = [await hall.customer(), await hall.plan()];
  const held = await hall.hold(ana, show, ['A1', 'A2']);
  const { body } = await ana.seen(held.id, 1);
  const { history, ...same } = held;
  expect(body).toMatchObject(same);
  expect(history).toMatchObject([{ what: 'held' }]);
  await hall.deed(ana, held.id, 'cancel').expect(200);
  expect((await ana.seen(held.id, 2)).body).toMatchObject({ state: 'cancelled', version: 2 });
});

it('of a guest is seen by its key', async () => {
  const { body } = await hall.ask(hall.desk, await hall.plan(), ['A1'], { email: 'guest@example.pe' }).expect(201);
  const see = (headers: Record<string, string>) => hall.desk.get(`/${body.id}`, { 'min-version': '1', ...headers });
  await see({ 'access-key': body.accessKey }).expect(200);
  await see({ 'access-key': randomUUID() }).expect(404);
});

it.each(['purchase-command', 'purchase-query'])('%s has tables as its entities say', async (process) => {
  const { db } = hall.mesh.running(process).app.get(Storage);
  expect(await migrationFor(db, { process, name: 'none', atMs: 0 })).toBeUndefined();
});
