import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startWholeMesh } from '#testing';

// The processes are launched in an order and at moments that differ each time; readiness is proven by an answer to a read.
/** A resource and what all stand on. */
const SMALL = ['--only', 'movie'];

describe('the order of the boot', () => {
  let dataDir: string;
  beforeAll(() => (dataDir = mkdtempSync(join(tmpdir(), 'cinemanzana-order-'))));

  const boot = async (fold: string[] = []) => {
    const mesh = await startWholeMesh({ dataDir, fold: ['--shuffle', '--no-demo', ...fold] });
    const { status } = await mesh.http('GET', '/api/movies?limit=1');
    await mesh.stop();
    expect(status).toBe(200);
    return mesh;
  };
  afterAll(async () => {
    // The command knows where data are that had to live outside of the folder.
    const mesh = await boot();
    await mesh.mesh('reset', '--yes');
    rmSync(dataDir, { recursive: true, force: true });
  }, 90_000);

  it.each(Array.from({ length: 20 }, (_, n) => n + 1))(
    'does not matter in one process (%i of 20)',
    // Each fourth time all that there is: it takes twice as long, and there is more to get in each other's way.
    async (n) => void (await boot(n % 4 === 0 ? [] : SMALL)),
    90_000,
  );

  it.each([1, 2])(
    'does not matter with a process for each (%i of 2)',
    async (n) => void (await boot(['--unfold', ...(n === 1 ? [] : SMALL)])),
    150_000,
  );
});
