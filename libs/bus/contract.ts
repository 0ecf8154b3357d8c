import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { randomUUID } from 'node:crypto';
import { type BusContext, BusServer } from '#bus';
import { Metrics } from '#metrics';
import { Problem } from '#problem';
import { until } from '#testing';
import {
  type Bench,
  collected,
  expectInOrder,
  expectOnce,
  type Handler,
  listeningLog,
  type OpenBench,
} from './bench.contract.js';

/** What every log of events keeps, of order, sharing, retries and bounds: called in a spec for each of them. */
export function busContract(open: OpenBench): void {
  let bench: Bench;
  const note: Handler = (body, context) => bench.note(body, context);

  beforeAll(async () => {
    bench = await open();
  });
  beforeEach(() => bench.clear());
  afterEach(() => bench.closeServers());
  afterAll(() => bench.close());

  it('gives a new consumer everything from the beginning, each key in order, in batches that fit into memory', async () => {
    const name = bench.name('changed');
    const event = (i: number) => bench.event(name, `k${i % 20}`, Math.floor(i / 20) + 1, { text: 'x'.repeat(200) });
    const events = Array.from({ length: 300 }, (_, i) => event(i));
    for (let i = 0; i < 300; i += 50) await bench.send(...events.slice(i, i + 50));
    const server = bench.consume({ on: { [name]: note }, over: { 'bus.batchEvents': 40, 'bus.batchBytes': 1024 } });
    await bench.untilSeen(300);
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
    expect(await server.lag()).toEqual({ [name.split('.')[0]!]: 0 });
  });

  it('skips names that nobody here handles, and hands on the rest', async () => {
    const wanted = bench.name('wanted');
    const unwanted = wanted.replace('wanted', 'unwanted');
    bench.consume({ on: { [wanted]: note } });
    await bench.send(bench.event(unwanted, 'a'), bench.event(wanted, 'a'), bench.event(unwanted, 'a'));
    await bench.send(bench.event(wanted, 'b'));
    await bench.untilSeen(2);
  });

  it('rolls a failing event back and tries it again, commits the good ones before it, and lets other partitions go on', async () => {
    const name = bench.name('often');
    const { log, warned } = listeningLog();
    const metrics = new Metrics('seen-query');
    let isBroken = true;
    const handle: Handler = async (body, context) => {
      await note(body, context);
      if (isBroken && context.event.key === 'poison' && context.event.version === 2) throw new TypeError('not today');
    };
    bench.consume({ on: { [name]: handle }, log, metrics, over: { 'bus.retryMaxMs': 200 } });
    const others = Array.from({ length: 40 }, (_, i) => bench.event(name, `good${i}`));
    await bench.send(...[1, 2, 3].map((version) => bench.event(name, 'poison', version)), ...others);
    const keys = async (like: string) => (await bench.seen()).map(({ key, version }) => `${key}/${version}`).filter((key) => key.startsWith(like)); // prettier-ignore
    await until('other partitions are done', async () => (await keys('good')).length >= 25);
    await until('it failed several times', async () =>
      /bus_failed_events_total\{[^}]*\} ([4-9]|\d\d)/.test(await metrics.text()),
    );
    expect(await keys('poison')).toEqual(['poison/1']);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatchObject(['event fails, will try again', { event: name, key: 'poison' }]);
    isBroken = false;
    await bench.untilSeen(43);
    expect(await keys('poison')).toEqual(['poison/1', 'poison/2', 'poison/3']);
  });

  it('gives a broadcast to each instance, and to a restarted one what it missed', async () => {
    const name = bench.name('told');
    const heard: string[] = [];
    const on = (instance: string) => ({
      [name]: async (_: unknown, { event: { key } }: BusContext) => void heard.push(`${instance}:${key}`),
    });
    const first = bench.consume({ on: on('a'), instance: 'a', broadcast: true });
    bench.consume({ on: on('b'), instance: 'b', broadcast: true });
    await bench.send(bench.event(name, '1'));
    await until('both hear it', () => heard.length === 2);
    await first.close();
    await bench.send(bench.event(name, '2'));
    bench.consume({ on: on('a'), instance: 'a', broadcast: true });
    await until('both hear the second', () => heard.length === 4);
    expect(heard.sort()).toEqual(['a:1', 'a:2', 'b:1', 'b:2']);
  });

  it('shares a group among instances as they come and go: each event is handled by one of them, once and in order', async () => {
    const name = bench.name('shared');
    const by = new Map<string, number>();
    const instance = (id: string) => {
      const handle: Handler = async (body, context) => {
        await note(body, context);
        by.set(id, (by.get(id) ?? 0) + 1);
      };
      return bench.consume({ on: { [name]: handle }, instance: id, over: { 'bus.parallel': 1, 'bus.batchEvents': 5 } });
    };
    const versions = new Map<string, number>();
    const send = async (events: number) => {
      for (let i = 0; i < events; i += 20) {
        const some = Array.from({ length: 20 }, (_, n) => `k${n}`).map((key) => {
          versions.set(key, (versions.get(key) ?? 0) + 1);
          return bench.event(name, key, versions.get(key));
        });
        await bench.send(...some);
      }
    };
    const first = instance('a');
    await send(100);
    await until('one of them works', () => (by.get('a') ?? 0) > 0);
    instance('b');
    await send(400);
    await until('the second has its share', () => (by.get('b') ?? 0) > 20);
    await first.close();
    await send(100);
    await bench.untilSeen(600);
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
  });

  it('finishes the event under way when it is closed, and begins no other', async () => {
    const name = bench.name('slow');
    let begun = 0;
    const handle: Handler = async (body, context) => {
      begun += 1;
      await context.tx.query('SELECT pg_sleep(0.15)');
      await note(body, context);
    };
    const server = bench.consume({ on: { [name]: handle }, over: { 'bus.parallel': 1 } });
    await bench.send(...[1, 2, 3].map((version) => bench.event(name, 'k', version)));
    await until('it has begun', () => begun === 1);
    await server.close();
    expect(await bench.seen()).toHaveLength(1);
    bench.consume({ on: { [name]: note } });
    await bench.untilSeen(3);
    expectInOrder(await bench.seen());
  });

  it('has events handled together that leave it to that, in order with those that are handled alone, and finds the one that fails', async () => {
    const name = bench.name('joint');
    const alone = name.replace('.joint', '.alone');
    const runs: number[][] = [];
    let isBroken = true;
    const all = async (_: unknown, contexts: readonly BusContext[]) => {
      runs.push(contexts.map(({ event }) => event.version));
      for (const context of contexts) await note(undefined, context);
      if (isBroken && contexts.some(({ event }) => event.version === 5)) throw new TypeError('not today');
    };
    const server = bench.server({ over: { 'bus.retryMaxMs': 100 } });
    const handle: Handler = async (_, context) => context.together(all, context);
    server.addHandler(name, handle as never, true, { isJoint: true });
    server.addHandler(alone, note as never, true);
    await bench.send(...[name, name, alone, name, name].map((each, i) => bench.event(each, 'k', i + 1)));
    server.listen(() => undefined);
    await until('the last fails by itself', () => runs.some(([version]) => version === 5));
    expect((await bench.seen()).map(({ version }) => version)).toEqual([1, 2, 3, 4]);
    isBroken = false;
    await bench.untilSeen(5);
    await server.close();
    expectInOrder(await bench.seen());
    expect(runs.slice(0, 4)).toEqual([[1, 2], [4, 5], [1], [2]]);
  });

  it('gives up a handler that hangs, and tries again', async () => {
    const name = bench.name('hung');
    let tries = 0;
    const handle: Handler = async (body, context) => {
      tries += 1;
      await note(body, context);
      if (tries < 3) await new Promise(() => undefined);
    };
    bench.consume({ on: { [name]: handle }, over: { 'bus.handlerMs': 50 } });
    await bench.send(bench.event(name, 'k'));
    await bench.untilSeen(1);
    expect(tries).toBe(3);
  });

  it('reads no further than its handlers are, however much waits', async () => {
    const name = bench.name('pressed');
    let open = () => {};
    const gate = new Promise<void>((done) => (open = done));
    const handle: Handler = async (body, context) => {
      await gate;
      await note(body, context);
    };
    bench.consume({ on: { [name]: handle }, over: { 'bus.batchBytes': 300_000, 'bus.batchEvents': 10 } });
    const before = collected();
    for (let sent = 0; sent < 200; sent += 20)
      await bench.send(...Array.from({ length: 20 }, (_, i) => bench.event(name, `k${i}`, sent / 20 + 1, { text: randomUUID().repeat(2_800) }))); // prettier-ignore
    await new Promise((done) => setTimeout(done, 300));
    // 20 MB wait; two partitions are at work on 0.3 MB each, and a log elsewhere may have some more on its way.
    await until('the rest is where it was', () => collected() - before < 10_000_000);
    open();
    await bench.untilSeen(200);
    expectInOrder(await bench.seen());
  });

  it(`calls Nest's event handlers, and gets their errors as they are thrown`, async () => {
    const name = bench.name('nest');
    const { log, warned } = listeningLog();
    let isBroken = true;
    @Controller()
    class Ears {
      @EventPattern<string>(name)
      async told(@Payload() body: { n: number }, @Ctx() context: BusContext) {
        await note(body, context);
        if (isBroken) throw new Problem('stale', 409, `broken at ${body.n}`);
      }
    }
    @Module({ controllers: [Ears] })
    class Ear {}
    const app = await NestFactory.create(Ear, new FastifyAdapter(), { logger: false });
    const server = bench.server({ log, over: { 'bus.retryMaxMs': 100 } });
    BusServer.join(app, server);
    await app.startAllMicroservices();
    await bench.send(bench.event(name, 'k', 1, { n: 7 }));
    await until('it fails', () => warned.length > 0);
    expect(warned).toEqual([
      ['event fails, will try again', expect.objectContaining({ error: new Problem('stale', 409, 'broken at 7') })],
    ]);
    isBroken = false;
    await bench.untilSeen(1);
    await app.close();
    await bench.send(bench.event(name, 'k', 2, { n: 8 }));
    await expect(server.lag()).resolves.toEqual({});
    expect(await bench.seen()).toHaveLength(1);
  });
}
