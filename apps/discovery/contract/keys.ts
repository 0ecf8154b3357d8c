import { setTimeout as sleep } from 'node:timers/promises';
import { type Key, NEWS_WITHIN_MS, type Speak } from './speak.js';

/** Keys and values. */
export function keys(ask: Speak, root: string) {
  const at = (key: string) => `/v1/kv/${root}/${key}`;
  const put = async (key: string, value: string) => (await ask('PUT', at(key), value)).json();
  const get = async (key: string) => (await ask('GET', at(key))).json<Key[]>()[0];

  afterEach(() => ask('DELETE', `/v1/kv/${root}?recurse`));

  it('keeps a value, its flags and its index', async () => {
    expect(await put('a?flags=42', 'hello')).toBe(true);
    const row = await get('a');
    expect(row).toMatchObject({ Key: `${root}/a`, Value: Buffer.from('hello').toString('base64'), Flags: 42 });
    expect((await ask('GET', `${at('a')}?raw`)).text).toBe('hello');
    await put('empty', '');
    expect((await get('empty'))?.Value).toBeNull();
    expect((await ask('GET', at('nothing'))).status).toBe(404);
  });

  it('lists keys and folders', async () => {
    await Promise.all(['x/1', 'x/2', 'y'].map((key) => put(key, 'v')));
    const all = (await ask('GET', `/v1/kv/${root}?recurse`)).json<Key[]>();
    expect(all.map(({ Key }) => Key)).toEqual([`${root}/x/1`, `${root}/x/2`, `${root}/y`]);
    expect((await ask('GET', `${at('')}?keys&separator=/`)).json()).toEqual([`${root}/x/`, `${root}/y`]);
  });

  it('writes and deletes only what has not changed, if so asked', async () => {
    expect(await put('c?cas=0', 'first')).toBe(true);
    expect(await put('c?cas=0', 'second')).toBe(false);
    const { ModifyIndex } = (await get('c'))!;
    expect(await put(`c?cas=${ModifyIndex}`, 'third')).toBe(true);
    expect((await ask('DELETE', `${at('c')}?cas=${ModifyIndex}`)).json()).toBe(false);
    expect((await ask('DELETE', `${at('c')}?cas=${(await get('c'))!.ModifyIndex}`)).json()).toBe(true);
    expect((await ask('GET', at('c'))).status).toBe(404);
  });

  it('tells who waits for a folder of a change and of a deletion in it', async () => {
    await put('w/1', 'v');
    for (const change of [() => ask('PUT', at('w/2'), 'v'), () => ask('DELETE', at('w/1'))]) {
      const { index } = await ask('GET', `${at('w')}?recurse`);
      const news = ask('GET', `${at('w')}?recurse&index=${index}&wait=10s`);
      await sleep(50);
      await put('elsewhere', String(index));
      const changedMs = performance.now();
      await change();
      expect((await news).index).toBeGreaterThan(index);
      expect(performance.now() - changedMs).toBeLessThan(NEWS_WITHIN_MS);
    }
    expect((await ask('GET', `${at('w')}?keys`)).json()).toEqual([`${root}/w/2`]);
  });
}

/** Sessions and the locks that they hold. */
export function sessions(ask: Speak, root: string) {
  const key = `/v1/kv/${root}`;
  const open = async (body: object) => (await ask('PUT', '/v1/session/create', body)).json<{ ID: string }>().ID;
  const put = async (query: string) => (await ask('PUT', `${key}?${query}`, 'v')).json();
  const holder = async () => (await ask('GET', key)).json<Key[]>()[0]?.Session;

  afterEach(() => ask('DELETE', key));

  it('gives a lock to one session at a time', async () => {
    const [one, two] = [await open({ LockDelay: '0s' }), await open({ LockDelay: '0s' })];
    expect(await put(`acquire=${one}`)).toBe(true);
    expect(await put(`acquire=${two}`)).toBe(false);
    expect(await holder()).toBe(one);
    expect(await put(`release=${two}`)).toBe(false);
    expect(await put(`release=${one}`)).toBe(true);
    expect(await holder()).toBeUndefined();
    expect(await put(`acquire=${two}`)).toBe(true);
    for (const id of [one, two]) await ask('PUT', `/v1/session/destroy/${id}`);
    expect(await holder()).toBeUndefined();
  });

  it('holds a lock back for the delay after its session ended', async () => {
    const [one, two] = [await open({ LockDelay: '500ms' }), await open({ LockDelay: '0s' })];
    await put(`acquire=${one}`);
    await ask('PUT', `/v1/session/destroy/${one}`);
    expect(await put(`acquire=${two}`)).toBe(false);
    await sleep(600);
    expect(await put(`acquire=${two}`)).toBe(true);
    await ask('PUT', `/v1/session/destroy/${two}`);
  });

  it('deletes the key with its session when that was asked for', async () => {
    const id = await open({ Behavior: 'delete', LockDelay: '0s' });
    await put(`acquire=${id}`);
    await ask('PUT', `/v1/session/destroy/${id}`);
    expect((await ask('GET', key)).status).toBe(404);
  });

  it('shows and renews a session, until it has ended', async () => {
    const id = await open({ Name: 'mine', TTL: '30s' });
    const [row] = (await ask('GET', `/v1/session/info/${id}`)).json<object[]>();
    expect(row).toMatchObject({ ID: id, Name: 'mine', TTL: '30s', Behavior: 'release', LockDelay: 15_000_000_000 });
    expect((await ask('GET', '/v1/session/list')).json<{ ID: string }[]>().map(({ ID }) => ID)).toContain(id);
    expect((await ask('PUT', `/v1/session/renew/${id}`)).json<object[]>()).toHaveLength(1);
    await ask('PUT', `/v1/session/destroy/${id}`);
    expect((await ask('PUT', `/v1/session/renew/${id}`)).status).toBe(404);
    expect((await ask('PUT', `${key}?acquire=${id}`, 'v')).status).toBe(500);
  });
}
