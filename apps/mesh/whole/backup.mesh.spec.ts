import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { openClient, placeOf, removePostgres } from '#postgres';
import { startWholeMesh, until, type WholeMesh } from '#testing';

/** A first backup, which waits for the archiver, a restore and a second start, ms. */
const WITHIN_MS = 60_000;

const textOf = (n: number) => createHash('sha256').update(`${n}`).digest('hex');
const now = () => performance.timeOrigin + performance.now();
const urlOf = (dataDir: string) => placeOf(join(dataDir, 'postgres')).url();

let mesh: WholeMesh;
let copy: WholeMesh | undefined;

beforeAll(async () => void (mesh = await startWholeMesh()), WITHIN_MS);

afterAll(async () => {
  await copy?.stop();
  await removePostgres(join(mesh.dataDir, 'restored', 'postgres'));
  await mesh.stop();
});

async function numbersIn(dataDir: string): Promise<{ n: number; text: string }[]> {
  const db = await openClient(urlOf(dataDir));
  try {
    return (await db.query('SELECT n, text FROM public.acknowledged')).rows as { n: number; text: string }[];
  } finally {
    await db.end();
  }
}

it(
  'is backed up while it imports its films, and starts from what was restored to an instant',
  async () => {
    const db = await openClient(urlOf(mesh.dataDir));
    await db.query('CREATE TABLE public.acknowledged (n int PRIMARY KEY, text text NOT NULL)');
    const written: { n: number; beganAtMs: number; acknowledgedAtMs: number }[] = [];
    let isWriting = true;
    const writing = (async () => {
      for (let n = 1; isWriting; n++) {
        const beganAtMs = now();
        await db.query('INSERT INTO public.acknowledged VALUES ($1, $2)', [n, textOf(n)]);
        written.push({ n, beganAtMs, acknowledgedAtMs: now() });
      }
    })().catch(() => undefined); // when the test fails, the server goes under it
    const to = join(mesh.dataDir, 'copies', 'first');
    const taken = await mesh.mesh('backup', to, '--json');
    expect(taken).toMatchObject({ code: 0 });
    const count = written.length;
    await until('there are writes after the backup', () => written.length > count + 50);
    const atMs = Math.ceil(now());
    await until('and some after the instant', () => written.length > count + 100 && now() > atMs + 50);

    const data = join(mesh.dataDir, 'restored');
    const restored = await mesh.mesh('restore', to, '--to', new Date(atMs).toISOString(), '--data', data, '--json');
    isWriting = false;
    await writing;
    await db.end();
    expect(restored).toMatchObject({ code: 0 });
    copy = await startWholeMesh({ dataDir: data });
    expect((await copy.http('GET', '/api/movies?limit=1')).body.items).toHaveLength(1);

    const found = new Map((await numbersIn(data)).map(({ n, text }) => [n, text]));
    const before = written.filter(({ acknowledgedAtMs }) => acknowledgedAtMs < atMs);
    expect(before.length).toBeGreaterThan(50);
    expect(before.filter(({ n }) => found.get(n) !== textOf(n))).toEqual([]);
    expect(written.filter(({ n, beganAtMs }) => beganAtMs > atMs && found.has(n))).toEqual([]);
    const seconds = (text: string) => (JSON.parse(text.trim().split('\n').at(-1)!) as { seconds: number }).seconds;
    expect([seconds(taken.stdout), seconds(restored.stdout)].every((took) => took < 30)).toBe(true);
  },
  WITHIN_MS,
);
