import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { environment } from '#config';
import { type Percentiles, upperBound } from '../check/figures.js';

/** What a drill found, as it is kept. */
export interface Report {
  drill: string;
  /** UTC, ISO 8601. */
  startedAt: string;
  seconds: number;
  /** The same seed asks for the same. */
  seed: number;
  /** What was tried. */
  n: number;
  failures: number;
  /** The failure rate is below this, with 95 % confidence. */
  failureRateBelow: number;
  ms: Record<string, Percentiles>;
  isPassed: boolean;
  faults: string[];
  /** What only this drill has. */
  details: Record<string, unknown>;
}

/** What a drill itself tells. */
export interface Finding {
  n: number;
  ms: Record<string, Percentiles>;
  faults: string[];
  /** What of the faults are failures of what was tried; all, unless the drill says. */
  failures?: number;
  details: Record<string, unknown>;
}

/** How a drill is run and told of. */
export interface Telling {
  seed: number;
  json?: boolean;
  /** A file for the report. */
  out?: string;
}

const STAMP = /[-:]|\.\d+/g;

/** A line that is written over, on a terminal; nothing elsewhere, and with JSON lines of their own. */
export class Progress {
  private lastMs = 0;
  private readonly isLive: boolean;

  constructor(private readonly json = false) {
    this.isLive = process.stderr.isTTY && !json;
  }

  /** How far it is; seldom enough to cost nothing. */
  show(text: string): void {
    const EVERY_MS = 120;
    if (!this.isLive || performance.now() - this.lastMs < EVERY_MS) return;
    this.lastMs = performance.now();
    process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  /** Something that stays. */
  line(text: string, facts?: Record<string, unknown>): void {
    this.clear();
    process.stdout.write(`${this.json ? JSON.stringify(facts ?? { note: text }) : text}\n`);
  }

  clear(): void {
    if (this.isLive) process.stderr.write('\r\u001b[K');
  }
}

/** Where a report lies when nobody says. */
function reportFile(drill: string, startedAt: string): string {
  return join(environment().dataDir, 'drills', `${drill}-${startedAt.replace(STAMP, '')}.json`);
}

/** More sentences than this say nothing new on a screen; the report has more. */
const MOST_SHOWN = 20;
const MOST_KEPT = 1000;

/** Run a drill, keep its report, and say how it went. @returns the exit code */
export async function tell(
  drill: string,
  { seed, json, out }: Telling,
  run: (progress: Progress) => Promise<Finding>,
): Promise<number> {
  const progress = new Progress(json);
  const startedAt = new Date().toISOString();
  const startedMs = performance.now();
  const { n, ms, faults, failures = faults.length, details } = await run(progress);
  progress.clear();
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  const bound = upperBound(Math.min(failures, n), n);
  const common = { drill, startedAt, seconds, seed, n, failures, failureRateBelow: bound };
  const report: Report = { ...common, ms, isPassed: faults.length === 0, faults: faults.slice(0, MOST_KEPT), details };
  const file = out ?? reportFile(drill, startedAt);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ ...report, file })}\n`);
  else for (const line of lines(report, file)) process.stdout.write(`${line}\n`);
  return report.isPassed ? 0 : 1;
}

function lines({ drill, seconds, seed, n, failures, failureRateBelow, ms, isPassed, faults }: Report, file: string): string[] {
  const times = Object.entries(ms).map(
    ([what, { count, p50, p90, p99, max }]) => `  ${what}: ${count}, p50 ${p50} ms, p90 ${p90} ms, p99 ${p99} ms, most ${max} ms`,
  );
  const sure = `failure rate below ${Number(failureRateBelow.toPrecision(2))} with 95 % confidence`;
  const sum = `${drill}: ${n} in ${seconds} s, ${failures} failures, ${sure} (seed ${seed})`;
  return [
    ...times,
    ...faults.slice(0, MOST_SHOWN).map((fault) => `  ${fault}`),
    ...(faults.length > MOST_SHOWN ? [`  and ${faults.length - MOST_SHOWN} more`] : []),
    `report: ${file}`,
    `${isPassed ? 'passed' : 'FAILED'}: ${sum}`,
  ];
}
