import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConfigEnvironment, merge, projectRoot } from '#config';
import { startTestMesh, type TestMesh } from '#testing';
import { ConfigServer } from './config.js';

describe('the configuration server', () => {
  let mesh: TestMesh, operator: string;
  beforeAll(async () => {
    mesh = await startTestMesh({ processes: [ConfigServer] });
    operator = await mesh.bearer('operator');
  }, 30_000);
  afterAll(() => mesh?.stop());

  const read = async (application: string, profile: string) => {
    const { body } = await mesh.http('config').get(`/${application}/${profile}`).expect(200);
    return body as ConfigEnvironment;
  };
  const valueOf = async (key: string, application = 'gateway', profile = 'dev') =>
    merge((await read(application, profile)).propertySources).get(key)?.value;
  const set = (body: object) => mesh.http('config').put('/overrides').set('authorization', operator).send(body);

  it('answers as Spring Cloud Config does, the strongest source first', async () => {
    const { name, profiles, label, propertySources } = await read('gateway', 'dev');
    expect({ name, profiles, label }).toEqual({ name: 'gateway', profiles: ['dev'], label: null });
    expect(propertySources.map((source) => source.name)).toEqual(['file:config/gateway.yml', 'file:config/application.yml']);
    expect(readFileSync(join(projectRoot, 'config/application.yml'), 'utf8')).toContain('pollMs: 1000');
    expect(propertySources.at(-1)!.source['config.pollMs']).toBe(1000);
  });

  it('costs who asks again nothing while nothing changed', async () => {
    const { headers } = await mesh.http('config').get('/gateway/dev').expect(200);
    await mesh.http('config').get('/gateway/dev').set('if-none-match', headers.etag!).expect(304);
  });

  it('lets an operator change a value while it runs, for one process, one profile, or all', async () => {
    const known = (await read('gateway', 'dev')).version;
    await set({ key: 'breaker.errorPercent', value: 40 }).expect(200);
    expect(await valueOf('breaker.errorPercent')).toBe(40);
    expect((await read('gateway', 'dev')).version).not.toBe(known);
    await set({ key: 'breaker.errorPercent', value: 30, application: 'gateway' }).expect(200);
    await set({ key: 'breaker.errorPercent', value: 20, application: 'gateway', profile: 'production' }).expect(200);
    expect(await valueOf('breaker.errorPercent', 'gateway', 'dev')).toBe(30);
    expect(await valueOf('breaker.errorPercent', 'gateway', 'production')).toBe(20);
    expect(await valueOf('breaker.errorPercent', 'movie-query', 'dev')).toBe(40);
    await set({ key: 'breaker.errorPercent', value: null, application: 'gateway' }).expect(200);
    expect(await valueOf('breaker.errorPercent', 'gateway', 'dev')).toBe(40);
  });

  it('keeps who changed what, when, and what it was, and can go back', async () => {
    const { body: mark } = await set({ key: 'client.maxTries', value: 2, author: 'Ana' }).expect(200);
    await set({ key: 'client.maxTries', value: 4 }).expect(200);
    const history = async () => {
      const { body } = await mesh
        .http('config')
        .get('/overrides/history?key=client.maxTries')
        .set('authorization', operator)
        .expect(200);
      return (body as { items: Record<string, unknown>[] }).items;
    };
    expect(await history()).toMatchObject([
      { before: 2, after: 4, author: 'tester' },
      { before: null, after: 2, author: 'Ana (tester)', at: expect.stringMatching(/Z$/) },
    ]);
    const back = mesh.http('config').post('/overrides/rollback').set('authorization', operator);
    await back.send({ to: (mark as { revision: string }).revision }).expect(200);
    expect(await valueOf('client.maxTries')).toBe(2);
    expect(await history()).toHaveLength(3);
  });

  it.each([
    ['a value of the wrong type', { key: 'breaker.errorPercent', value: 'many' }, '/value', /breaker\.errorPercent: .*integer/],
    ['a value out of range', { key: 'breaker.errorPercent', value: 101 }, '/value', /greater than 100/],
    ['a key that no section has', { key: 'breaker.errorPercentage', value: 5 }, '/value', /should not exist/],
    ['half a key', { key: 'breaker', value: 5 }, '/key', /full key/],
    ['no value', { key: 'breaker.errorPercent' }, '/value', /must be a string, a number/],
    ['a value that is none', { key: 'breaker.errorPercent', value: { a: 1 } }, '/value', /must be a string, a number/],
    ['a member it does not know', { key: 'breaker.errorPercent', value: 5, profil: 'dev' }, '/profil', /should not exist/],
  ])('refuses %s', async (_, body, pointer, detail) => {
    const { body: problem } = await set(body).expect(400);
    expect(problem).toMatchObject({
      type: '/problems/invalid-input',
      errors: [{ pointer, detail: expect.stringMatching(detail) }],
    });
  });

  it('lets nobody else change anything', async () => {
    await mesh.http('config').put('/overrides').send({ key: 'breaker.errorPercent', value: 5 }).expect(401);
    const manager = await mesh.bearer('manager');
    await mesh
      .http('config')
      .put('/overrides')
      .set('authorization', manager)
      .send({ key: 'breaker.errorPercent', value: 5 })
      .expect(403);
  });

  it('knows no path out of its folder', async () => {
    await mesh.http('config').get('/..%2f..%2fetc/passwd').expect(404);
    await mesh.http('config').get('/problems%00/dev').expect(404);
  });

  it('tells a second instance of a change at once', async () => {
    const second = await mesh.launch(ConfigServer);
    await set({ key: 'breaker.errorPercent', value: 33 }).expect(200);
    await sleep(200);
    const answer = (await (await fetch(`${second.url}/gateway/dev`)).json()) as ConfigEnvironment;
    expect(merge(answer.propertySources).get('breaker.errorPercent')?.value).toBe(33);
  });
});
