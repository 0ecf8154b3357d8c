import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Log } from '#log';
import type { Catalog } from './catalog.js';
import type { CheckRow, CheckSpec, Status } from './store.js';

/** The numbers that checks go by; they are part of the agent's section. */
export interface CheckLimits {
  /** A check that names no time-out has this one, ms. */
  checkTimeoutMs: number;
  /** What is kept of a check's output, bytes. */
  outputBytes: number;
  /** Output that changes while the status does not is told this late, ms. */
  outputMs: number;
  /** Between two looks for services that were critical for too long, ms. */
  reapMs: number;
  /** No service is forgotten sooner than this, ms. */
  deregisterMinMs: number;
}

interface Outcome {
  status: Status;
  output: string;
}

/** One check under way. */
interface Run {
  row: CheckRow;
  timer?: NodeJS.Timeout;
  /** Ends the connection that is being tried. */
  abort: AbortController;
  /** What the last try said; the catalog hears of mere output late, so that a talkative check wakes nobody. */
  output: string;
  told: number;
  criticalSince?: number;
  successes: number;
  failures: number;
}

/** Looks after the checks that were registered with this agent: asks HTTP and TCP ones, lapses TTL ones, forgets services critical for too long. */
export class Checks {
  private readonly runs = new Map<string, Run>();
  private readonly reaper: NodeJS.Timeout;

  constructor(
    private readonly catalog: Catalog,
    private readonly config: CheckLimits,
    private readonly log: Log,
  ) {
    catalog.onCheck((key, row, before) => this.follow(key, row, before));
    // Nobody asked while the agent was away, so nobody is known to be well: Consul too starts from critical, and asks at once.
    for (const [key, row] of catalog.store.checks) {
      if (!row.spec) continue;
      this.begin(key, row);
      catalog.setStatus(row, 'critical', row.Output);
    }
    this.reaper = setInterval(() => this.reap(), config.reapMs);
  }

  /** The last output of a check, newer than the catalog's. */
  outputOf(key: string, row: CheckRow): string {
    return this.runs.get(key)?.output ?? row.Output;
  }

  /** Heartbeat of a TTL check. @returns false when there is no such check */
  beat(key: string, status: Status, output: string): boolean {
    const run = this.runs.get(key);
    if (run?.row.spec?.ttlMs === undefined) return false;
    this.arm(key, run);
    run.output = output;
    this.catalog.setStatus(run.row, status, output);
    return true;
  }

  close(): void {
    clearInterval(this.reaper);
    for (const key of [...this.runs.keys()]) this.end(key);
  }

  private follow(key: string, row: CheckRow | undefined, before: CheckRow | undefined) {
    const run = this.runs.get(key);
    if (!row?.spec) return this.end(key);
    // The store keeps one row object per change, so the specification is compared by what it says.
    if (!run || JSON.stringify(before?.spec) !== JSON.stringify(row.spec)) {
      this.end(key);
      return this.begin(key, row);
    }
    run.row = row;
    if (row.Status !== 'critical') run.criticalSince = undefined;
    else run.criticalSince ??= Date.now();
  }

  private begin(key: string, row: CheckRow) {
    const criticalSince = row.Status === 'critical' ? Date.now() : undefined;
    const counts = { successes: 0, failures: 0, told: Date.now(), criticalSince };
    const run: Run = { row, abort: new AbortController(), output: row.Output, ...counts };
    this.runs.set(key, run);
    if (row.spec!.ttlMs === undefined) run.timer = setTimeout(() => void this.ask(key, run), 0);
    else this.arm(key, run);
  }

  private end(key: string) {
    const run = this.runs.get(key);
    clearTimeout(run?.timer);
    run?.abort.abort();
    this.runs.delete(key);
  }

  private arm(key: string, run: Run) {
    clearTimeout(run.timer);
    run.timer = setTimeout(() => {
      const output = `TTL expired (last output before timeout follows): ${run.output}`;
      run.output = output;
      this.catalog.setStatus(run.row, 'critical', output);
    }, run.row.spec!.ttlMs);
  }

  private async ask(key: string, run: Run) {
    const spec = run.row.spec!;
    const timeoutMs = spec.timeoutMs || this.config.checkTimeoutMs;
    const signal = AbortSignal.any([run.abort.signal, AbortSignal.timeout(timeoutMs)]);
    const outcome = await (spec.http === undefined ? askTcp(spec.tcp!, signal) : askHttp(spec, signal, this.config.outputBytes));
    if (this.runs.get(key) !== run) return;
    this.learn(run, outcome);
    run.timer = setTimeout(() => void this.ask(key, run), spec.intervalMs);
  }

  private learn(run: Run, { status, output }: Outcome) {
    run.output = output;
    const critical = status === 'critical';
    run.failures = critical ? run.failures + 1 : 0;
    run.successes = critical ? 0 : run.successes + 1;
    const { failuresBeforeCritical = 0, successBeforePassing = 0 } = run.row.spec!;
    const sure = critical ? run.failures > failuresBeforeCritical : run.successes > successBeforePassing;
    const changed = sure && status !== run.row.Status;
    const late = output !== run.row.Output && Date.now() - run.told > this.config.outputMs;
    if (!changed && !late) return;
    run.told = Date.now();
    this.catalog.setStatus(run.row, changed ? status : run.row.Status, output);
  }

  private reap() {
    for (const { row, criticalSince } of [...this.runs.values()]) {
      const limitMs = row.spec?.deregisterAfterMs;
      if (!limitMs || criticalSince === undefined) continue;
      if (Date.now() - criticalSince < Math.max(limitMs, this.config.deregisterMinMs)) continue;
      const service = this.catalog.servicesOn(row.Node).find(({ ID }) => ID === row.ServiceID);
      if (!service) continue;
      this.log.info('critical service deregistered', {
        id: service.ID,
        check: row.CheckID,
        criticalMs: Date.now() - criticalSince,
      });
      this.catalog.dropService(service);
    }
  }
}

const failed = (error: unknown, signal: AbortSignal): string =>
  signal.aborted ? 'no answer within the time-out' : (error as Error).message || String(error);

function askTcp(target: string, signal: AbortSignal): Promise<Outcome> {
  const { hostname, port } = new URL(`tcp://${target}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), signal });
    const done = (status: Status, output: string) => {
      socket.destroy();
      resolve({ status, output });
    };
    socket.once('connect', () => done('passing', `TCP connect ${target}: Success`));
    socket.on('error', (error) => done('critical', `dial tcp ${target}: ${failed(error, signal)}`));
  });
}

/** Below 300 is well, 429 is busy, all else is ill. @source Consul's HTTP checks */
const judge = (status: number): Status => {
  if (status >= 200 && status < 300) return 'passing';
  return status === 429 ? 'warning' : 'critical';
};

function askHttp(spec: CheckSpec, signal: AbortSignal, outputBytes: number): Promise<Outcome> {
  const { method = 'GET', headers, body, tlsSkipVerify } = spec;
  const url = spec.http!;
  const ask = url.startsWith('https:') ? httpsRequest : httpRequest;
  // No kept sockets: a new connection shows at once that nobody listens any more.
  const options: RequestOptions & { rejectUnauthorized?: boolean } = { method, agent: false, signal, headers: { ...headers } };
  if (tlsSkipVerify) options.rejectUnauthorized = false;
  return new Promise((resolve) => {
    const lost = (error: unknown) => resolve({ status: 'critical', output: `${method} "${url}": ${failed(error, signal)}` });
    const request = ask(url, options, (answer) => {
      const { statusCode = 0, statusMessage = '' } = answer;
      let said = '';
      const done = () => {
        const output = `HTTP ${method} ${url}: ${statusCode} ${statusMessage} Output: ${said}`;
        resolve({ status: judge(statusCode), output: output.slice(0, outputBytes) });
        request.destroy();
      };
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => {
        said += part;
        if (said.length >= outputBytes) done();
      });
      answer.on('error', lost);
      answer.on('end', done);
    });
    request.on('error', lost);
    request.end(body);
  });
}
