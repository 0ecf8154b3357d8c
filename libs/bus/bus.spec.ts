import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { randomUUID } from 'node:crypto';
import type { Log } from '#log';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { fileSettings, type Flat } from '#config';
import { context } from '#context';
import { Problem } from '#problem';
import { openStorage, type Storage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase, until } from '#testing';
import { BusClient, BusConfig, BusServer, type BusContext, type BusEvent, publish } from '#bus';

let database: TestDatabase;
let writer: Storage;
let reader: Storage;
const open: Storage[] = [];
let servers: BusServer[] = [];

const section = <T extends object>(cls: new () => T, over: Flat = {}): T => {
  const settings = fileSettings({ process: 'seen-query', profile: 'test', sections: [cls], log: silentLog, over });
  settings.close();
  return settings.section(cls);
};

async function storageOf(process: string): Promise<Storage> {
  const url = database.url(process);
  const storage = await openStorage({
    process,
    url,
    entities: [],
    migrations: [],
    log: silentLog,
    config: section(StorageConfig),
  });
  open.push(storage);
  return storage;
}

type Handler = (body: unknown, context: BusContext) => Promise<void>;
interface Consumer {
  on: Record<string, Handler>;
  instance?: string;
  broadcast?: boolean;
  over?: Flat;
  log?: Log;
  metrics?: Metrics;
}

function consume({ on, instance, broadcast, over, log = silentLog, metrics = new Metrics('seen-query') }: Consumer): BusServer {
  const server = new BusServer({
    storage: reader,
    process: 'seen-query',
    instance,
    log,
    metrics,
    config: section(BusConfig, over),
  });
  for (const [name, handle] of Object.entries(on)) server.addHandler(name, handle as never, true, { broadcast });
  server.listen(() => undefined);
  servers.push(server);
  return server;
}

// A table without any key, so that an effect that happens twice is seen twice.
const note: Handler = async (_body, { event, tx }) => {
  await tx.query('INSERT INTO seen (id, name, key, version) VALUES ($1, $2, $3, $4)', [
    event.id,
    event.name,
    event.key,
    event.version,
  ]);
};
const seen = () => reader.query<{ id: string; key: string; version: number }>('SELECT id, key, version FROM seen ORDER BY n');
const seenCount = async () => (await seen()).length;

const event = (name: string, key: string, version = 1, body: unknown = { version }): BusEvent => ({
  id: randomUUID(),
  name,
  key,
  version,
  body,
  at: new Date().toISOString(),
});
const send = (...events: BusEvent[]) => writer.transaction((tx) => publish(tx, events));

/** A log whose warnings can be looked at. */
function listeningLog(): { log: Log; warned: unknown[] } {
  const warned: unknown[] = [];
  const log = Object.assign(Object.create(silentLog) as Log, { warn: (...said: unknown[]) => void warned.push(said) });
  return { log, warned };
}

function expectInOrder(rows: { key: string; version: number }[]) {
  const last = new Map<string, number>();
  for (const { key, version } of rows) {
    expect(version).toBe((last.get(key) ?? 0) + 1);
    last.set(key, version);
  }
}

beforeAll(async () => {
  database = await startTestDatabase(['seen-command', 'seen-query']);
  [writer, reader] = await Promise.all([storageOf('seen-command'), storageOf('seen-query')]);
  await reader.query('CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, id uuid, name text, key text, version int)');
});

beforeEach(() => reader.query('TRUNCATE seen'));

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

afterAll(async () => {
  await Promise.all(open.map((storage) => storage.close()));
  await database.stop();
});

it('gives a new consumer everything from the beginning, each key in order, in batches that fit into memory', async () => {
  const events = Array.from({ length: 300 }, (_, i) =>
    event('past.changed', `k${i % 20}`, Math.floor(i / 20) + 1, { text: 'x'.repeat(200) }),
  );
  for (let i = 0; i < 300; i += 50) await send(...events.slice(i, i + 50));
  const server = consume({ on: { 'past.changed': note }, over: { 'bus.batchEvents': 40, 'bus.batchBytes': 1024 } });
  await until('all are handled', async () => (await seenCount()) === 300);
  const rows = await seen();
  expectInOrder(rows);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(300);
  expect(await server.lag()).toEqual({ past: 0 });
});

it('skips names that nobody here handles, and hands on the rest', async () => {
  consume({ on: { 'some.wanted': note } });
  await send(event('some.unwanted', 'a'), event('some.wanted', 'a'), event('some.unwanted', 'a'));
  await send(event('some.wanted', 'b'));
  await until('the wanted ones are handled', async () => (await seenCount()) === 2);
});

it('is woken by a commit, not by looking', async () => {
  consume({ on: { 'wake.up': note }, over: { 'bus.pollMs': 60_000 } });
  await send(event('wake.up', 'first'));
  await until('the first is handled', async () => (await seenCount()) === 1);
  const tookMs = [];
  for (let i = 0; i < 15; i++) {
    const startedAt = performance.now();
    await send(event('wake.up', `k${i}`));
    while ((await seenCount()) < i + 2);
    tookMs.push(performance.now() - startedAt);
  }
  // 20 ms is the aim and what an idle machine needs at most; here six others may be at work.
  expect(tookMs.sort((a, b) => a - b)[7]).toBeLessThan(100);
});

it('carries the trace of the cause, and the transaction in which effect and place commit together', async () => {
  const heard: unknown[] = [];
  consume({
    on: {
      'trace.carried': async (body, { event: { traceId }, tx }) => {
        heard.push(body, traceId === context()?.traceId, context()?.tx === tx);
        await reader.transaction(async (joined) => void heard.push(joined === tx));
      },
    },
  });
  const client = new BusClient(writer);
  const traceId = 'a'.repeat(32);
  await new Promise((done) =>
    client.emit('trace.carried', { ...event('', 'k'), body: { n: 1 }, traceId }).subscribe({ complete: () => done(0) }),
  );
  await until('it is handled', () => heard.length === 4);
  expect(heard).toEqual([{ n: 1 }, true, true, true]);
});

it('rolls a failing event back and tries it again, commits the good ones before it, and lets other partitions go on', async () => {
  const { log, warned } = listeningLog();
  const metrics = new Metrics('seen-query');
  let isBroken = true;
  const handle: Handler = async (body, ctx) => {
    await note(body, ctx);
    if (isBroken && ctx.event.key === 'poison' && ctx.event.version === 2) throw new TypeError('not today');
  };
  consume({ on: { 'fail.often': handle }, log, metrics, over: { 'bus.retryMaxMs': 200 } });
  const others = Array.from({ length: 40 }, (_, i) => event('fail.often', `good${i}`));
  await send(event('fail.often', 'poison', 1), event('fail.often', 'poison', 2), event('fail.often', 'poison', 3), ...others);
  const keys = async () => (await seen()).map(({ key, version }) => `${key}/${version}`);
  await until('other partitions are done', async () => (await keys()).filter((key) => key.startsWith('good')).length >= 25);
  await until('it failed several times', async () => /bus_failed_events_total\{[^}]*\} ([4-9]|\d\d)/.test(await metrics.text()));
  expect((await keys()).filter((key) => key.startsWith('poison'))).toEqual(['poison/1']);
  expect(warned).toHaveLength(1);
  expect(warned[0]).toMatchObject(['event fails, will try again', { event: 'fail.often', key: 'poison' }]);
  isBroken = false;
  await until('all are handled', async () => (await keys()).length === 43);
  expect((await keys()).filter((key) => key.startsWith('poison'))).toEqual(['poison/1', 'poison/2', 'poison/3']);
});

it('gives a broadcast to each instance, and to a restarted one what it missed', async () => {
  const heard: string[] = [];
  const on = (instance: string) => ({
    'all.told': async (_: unknown, { event: { key } }: BusContext) => void heard.push(`${instance}:${key}`),
  });
  const first = consume({ on: on('a'), instance: 'a', broadcast: true });
  consume({ on: on('b'), instance: 'b', broadcast: true });
  await send(event('all.told', '1'));
  await until('both hear it', () => heard.length === 2);
  await first.close();
  await send(event('all.told', '2'));
  consume({ on: on('a'), instance: 'a', broadcast: true });
  await until('both hear the second', () => heard.length === 4);
  expect(heard.sort()).toEqual(['a:1', 'a:2', 'b:1', 'b:2']);
});

it('finishes the event under way when it is closed, and begins no other', async () => {
  let begun = 0;
  const handle: Handler = async (body, ctx) => {
    begun += 1;
    await ctx.tx.query('SELECT pg_sleep(0.15)');
    await note(body, ctx);
  };
  const server = consume({ on: { 'slow.one': handle }, over: { 'bus.parallel': 1 } });
  await send(event('slow.one', 'k', 1), event('slow.one', 'k', 2), event('slow.one', 'k', 3));
  await until('it has begun', () => begun === 1);
  await server.close();
  expect(await seenCount()).toBe(1);
  consume({ on: { 'slow.one': note } });
  await until('another goes on', async () => (await seenCount()) === 3);
  expectInOrder(await seen());
});

it('gives up a handler that hangs, and tries again', async () => {
  let tries = 0;
  const handle: Handler = async (body, ctx) => {
    tries += 1;
    await note(body, ctx);
    if (tries < 3) await new Promise(() => undefined);
  };
  consume({ on: { 'hang.on': handle }, over: { 'bus.handlerMs': 50 } });
  await send(event('hang.on', 'k'));
  await until('it is handled', async () => (await seenCount()) === 1);
  expect(tries).toBe(3);
});

it(`calls Nest's event handlers, and gets their errors as they are thrown`, async () => {
  const { log, warned } = listeningLog();
  let isBroken = true;
  @Controller()
  class Ears {
    @EventPattern<string>('nest.told')
    async told(@Payload() body: { n: number }, @Ctx() ctx: BusContext) {
      await note(body, ctx);
      if (isBroken) throw new Problem('stale', 409, `broken at ${body.n}`);
    }
  }
  @Module({ controllers: [Ears] })
  class Ear {}
  const app = await NestFactory.create(Ear, new FastifyAdapter(), { logger: false });
  const config = section(BusConfig, { 'bus.retryMaxMs': 100 });
  const server = new BusServer({ storage: reader, process: 'seen-query', log, metrics: new Metrics('seen-query'), config });
  BusServer.join(app, server);
  await app.startAllMicroservices();
  await send(event('nest.told', 'k', 1, { n: 7 }));
  await until('it fails', () => warned.length > 0);
  expect(warned).toEqual([
    ['event fails, will try again', expect.objectContaining({ error: new Problem('stale', 409, 'broken at 7') })],
  ]);
  isBroken = false;
  await until('it is handled', async () => (await seenCount()) === 1);
  await app.close();
  await send(event('nest.told', 'k', 2, { n: 8 }));
  await expect(server.lag()).resolves.toEqual({});
  expect(await seenCount()).toBe(1);
});

it('goes on by itself when PostgreSQL comes back', async () => {
  consume({ on: { 'back.again': note } });
  await send(event('back.again', 'k', 1));
  await until('the first is handled', async () => (await seenCount()) === 1);
  await database.postgres.kill();
  await database.restart();
  await until('an event can be sent', () =>
    send(event('back.again', 'k', 2)).then(
      () => true,
      () => false,
    ),
  );
  await until('the second is handled', async () => (await seen()).some(({ version }) => version === 2));
});
