import { join } from 'node:path';
import { processUrl } from '#postgres';
import { startTestMesh, type TestMesh } from '#testing';
import { seeded } from '../../load/check/figures.js';
import { controlRoom, databaseRoom, type RoomOptions } from '../../load/contention/rooms.js';
import { PurchaseCommand } from '../../purchase/purchase.command.js';

describe('buyers who crowd at the seats', () => {
  let mesh: TestMesh, room: RoomOptions;
  beforeAll(async () => {
    mesh = await startTestMesh({ processes: [PurchaseCommand] });
    const adminUrl = mesh.postgres!.url();
    const url = processUrl(adminUrl, 'purchase-command', join(mesh.dataDir, 'secrets'));
    room = { adminUrl, url, attempts: 1200, buyers: 16, seats: 60, luck: seeded(1) };
  });
  afterAll(() => mesh?.stop());

  it('get whole baskets, each seat once, with no deadlock, however they ask', async () => {
    const runs = await databaseRoom(room);
    expect(runs.map(({ run }) => run)).toHaveLength(4);
    for (const { run, faults, deadlocks, outcomes } of runs) {
      expect([run, faults, deadlocks]).toEqual([run, [], 0]);
      expect(Object.keys(outcomes).sort()).toEqual(['held', 'taken']);
    }
  }, 30_000);

  it('are sold seats twice by a seller that looks and then takes, and the checkers see it', async () => {
    const { doubleSales, impossibleSeats } = await controlRoom(room);
    expect(doubleSales).toBeGreaterThan(0);
    expect(impossibleSeats).toBeGreaterThan(0);
  }, 30_000);
});
