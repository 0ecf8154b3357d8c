import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { projectRoot } from '#config';
import { until } from '#testing';
import { type Bench, expectInOrder, expectOnce, listeningLog } from '../bench.contract.js';
import { kafkaLog, onKafka, openKafkaBench } from './bench.contract.js';

const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);

onKafka('over Kafka (KAFKA_BROKERS), when a process is killed', () => {
  let bench: Bench;
  beforeAll(async () => void (bench = await openKafkaBench()));
  afterEach(async () => {
    await bench.closeServers();
    await bench.clear();
  });
  afterAll(() => bench.close());

  /** An instance in a Node of its own that notes slowly enough to be killed in the middle. */
  async function slowInstance(name: string): Promise<ChildProcess> {
    const script = `
      import { BusServer } from '#bus';
      import { silentLog as log } from '#log';
      import { Metrics } from '#metrics';
      import { storageAt, sectionsOf } from '${projectRoot}libs/bus/kafka/bench.contract.ts';
      const storage = await storageAt(${JSON.stringify(bench.database.url('seen-query'))});
      const { source, config } = sectionsOf(storage);
      const server = new BusServer({ storage, process: 'seen-query', instance: 'slow', log, metrics: new Metrics('seen-query'), config, source });
      server.addHandler('${name}', async (body, { event: { id, name, key, version }, tx }) => {
        await tx.query('INSERT INTO seen (id, name, key, version) VALUES ($1, $2, $3, $4)', [id, name, key, version]);
        await tx.query('SELECT pg_sleep(0.02)');
      }, true, {});
      server.listen(() => console.log('listening'));`;
    const args = ['--import', `${projectRoot}libs/testing/typescript.mjs`, '--input-type=module', '-e', script];
    const child = spawn(process.execPath, args, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(createInterface({ input: child.stdout }), 'line');
    return child;
  }

  it('another instance goes on where the killed one committed last: each effect once, in order', async () => {
    const name = bench.name('taken-over');
    const child = await slowInstance(name);
    for (let version = 1; version <= 20; version++) await bench.send(...keys.map((key) => bench.event(name, key, version)));
    await until('it is at work', async () => (await bench.seen()).length > 20);
    bench.consume({ on: { [name]: bench.note }, instance: 'other', over: { 'bus.parallel': 1, 'bus.batchEvents': 5 } });
    await until('it has done some', async () => (await bench.seen()).length > 100);
    child.kill('SIGKILL');
    await bench.untilSeen(400);
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
  });

  it('what the relay sent and could not remove from the outbox any more is sent again, and handled once', async () => {
    const name = bench.name('sent-twice');
    const events = keys.map((key) => bench.event(name, key));
    bench.consume({ on: { [name]: bench.note }, over: { 'bus.pollMs': 200 } });
    const killed = bench.writer.transaction(async () => {
      await bench.send(...events);
      throw new Error('killed before the commit');
    });
    await expect(killed).rejects.toThrow('killed before the commit');
    await bench.send(...events, bench.event(name, 'k0', 2));
    await bench.untilSeen(21);
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
  });
});

onKafka('over a Kafka of its own that wants a user and a password (KAFKA_BROKERS)', () => {
  const port = '19392';
  const home = join(process.env.PARTS_DIR ?? join(tmpdir(), 'parts'), `kafka-${port}`);
  const part = (verb: string) =>
    promisify(execFile)('bash', [join(projectRoot, '.ci/parts/kafka.sh'), verb], {
      env: { ...process.env, KAFKA_PORT: port, KAFKA_USERS: 'yes' },
    });
  const kill = () => process.kill(Number(readFileSync(join(home, 'pid'), 'utf8')), 'SIGKILL');
  const { log, warned } = listeningLog();
  const secrets: Record<string, string> = { KAFKA_USERNAME: 'mesh', KAFKA_PASSWORD: 'mesh-secret' };
  const wish = { brokers: [`127.0.0.1:${port}`], over: { 'kafka.saslMechanism': 'PLAIN' }, log };
  let bench: Bench;

  beforeAll(async () => {
    await part('start');
    bench = await openKafkaBench({ ...wish, secret: (name) => secrets[name] });
  }, 60_000);
  beforeEach(() => bench.clear());
  afterEach(() => bench.closeServers());
  afterAll(async () => {
    await bench?.close();
    await part('stop');
    rmSync(home, { recursive: true, force: true });
  }, 60_000);

  it('lets in who knows the password, and says why it does not let in who does not', async () => {
    const name = bench.name('let-in');
    bench.consume({ on: { [name]: bench.note } });
    await bench.send(bench.event(name, 'k'));
    await bench.untilSeen(1);
    const wrong = kafkaLog(bench.writer, 'seen-command', {
      ...wish,
      secret: (key) => ({ ...secrets, KAFKA_PASSWORD: 'guess' })[key],
    });
    await expect(wrong.ready()).rejects.toThrow(/Kafka does not answer: .*(SASL|uthenticat|password)/);
    await wrong.close();
    expect(() =>
      kafkaLog(bench.writer, 'x', { ...wish, secret: (key) => (key === 'KAFKA_USERNAME' ? 'mesh' : undefined) }),
    ).toThrow('go together');
    warned.length = 0;
  });

  it('killed and started again under writes: nothing is lost, nothing is done twice, and it is said once', async () => {
    const name = bench.name('away');
    const { log: consumerLog, warned: consumerWarned } = listeningLog();
    bench.consume({ on: { [name]: bench.note }, log: consumerLog, over: { 'bus.pollMs': 500 } });
    let [version, failures, going] = [0, 0, true];
    /** As a relay does: the same events until they are sent. */
    const writing = (async () => {
      while (going) {
        const events = keys.map((key) => bench.event(name, key, version + 1));
        for (;;) {
          const isSent = await bench.send(...events).then(
            () => true,
            () => false,
          );
          if (isSent) break;
          failures += 1;
          await new Promise((done) => setTimeout(done, 100));
        }
        version += 1;
        await new Promise((done) => setTimeout(done, 20));
      }
    })();
    await until('it works', async () => (await bench.seen()).length > 100);
    kill();
    await until('nothing can be sent', () => failures > 3);
    const [sent, said] = [version, warned.length];
    await new Promise((done) => setTimeout(done, 2_000));
    await part('start');
    const tookMs = await until('it goes on', async () => (await bench.seen()).some((row) => row.version > sent + 1), 20_000);
    going = false;
    await writing;
    await bench.untilSeen(version * keys.length);
    expectInOrder(await bench.seen());
    expectOnce(await bench.seen());
    expect(said).toBeGreaterThanOrEqual(1);
    // Once by the sender and once by the reader, for each reason: the last answer that did not come, and nobody there.
    expect(warned.length).toBeLessThanOrEqual(6);
    expect(consumerWarned).toEqual([]);
    expect(tookMs).toBeLessThan(10_000);
  }, 90_000);
});
