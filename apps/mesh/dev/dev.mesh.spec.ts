import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '#config';
import { until } from '#testing';

const TREE = ['apps', 'libs', 'config', 'package.json', 'package-lock.json', 'nest-cli.json', 'tsconfig.json', '.swcrc'];

interface Instance {
  process: string;
  slot: number;
  state: string;
  pid: number;
}

/** A copy of the project that can be edited, and the commands in it. */
class Workshop {
  readonly root = mkdtempSync(join(tmpdir(), 'mesh-dev-'));
  readonly lines: string[] = [];
  private readonly children: ChildProcess[] = [];

  constructor() {
    for (const part of TREE) cpSync(join(projectRoot, part), join(this.root, part), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(this.root, 'node_modules'), 'dir');
  }

  /** Starts `mesh <args>`, whose lines are kept. */
  start(...args: string[]): ChildProcess {
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, MESH_DATA: join(this.root, '.data') };
    const child = spawn(process.execPath, [join(this.root, 'apps/mesh/front.mjs'), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', (line) => this.lines.push(line));
    this.children.push(child);
    return child;
  }

  async ask<T>(...args: string[]): Promise<T> {
    const child = this.start(...args);
    let text = '';
    child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(child, 'close');
    return JSON.parse(text) as T;
  }

  said = (what: RegExp): boolean => this.lines.some((line) => what.test(line));

  edit(file: string, change: (text: string) => string): void {
    writeFileSync(join(this.root, file), change(readFileSync(join(this.root, file), 'utf8')));
  }

  get api(): string {
    return (JSON.parse(readFileSync(join(this.root, '.data/mesh.json'), 'utf8')) as { gateway: string }).gateway;
  }

  async end(): Promise<void> {
    const running = this.children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    await Promise.all(running.map((child) => (child.kill('SIGINT'), once(child, 'exit'))));
    rmSync(this.root, { recursive: true, force: true });
  }
}

const QUERY = 'apps/movie/movie.query.ts';
/** Adds a route that answers `word`, or changes what it answers. */
const answering = (word: string) => (text: string) =>
  text.includes("@Get('probe/word')")
    ? text.replace(/word: '\w+'/, `word: '${word}'`)
    : text
        .replace("import { Controller } from '@nestjs/common';", "import { Controller, Get } from '@nestjs/common';")
        .replace(
          /(class MovieQueryController [^]*?\}\)) \{\}/,
          `$1 {\n  @Get('probe/word') probe() {\n    return { word: '${word}' };\n  }\n}`,
        );

describe('npm run dev', () => {
  let shop: Workshop;
  const answer = async (path: string) => (await fetch(`${shop.api}${path}`).catch(() => undefined))?.text();

  beforeAll(async () => {
    shop = new Workshop();
    shop.start('dev', '--port', '0', '--config-port', '0', '--discovery-port', '0', '--no-demo');
    await until('it is ready', () => shop.said(/ready after/), 50_000);
  }, 60_000);
  afterAll(() => shop.end(), 30_000);

  it('has an edit live within 2 s, and the next one too', async () => {
    for (const word of ['persimmon', 'quince']) {
      await sleep(4000); // nobody edits sooner, and it makes ready for the next edit meanwhile
      shop.edit(QUERY, answering(word));
      const live = async () => (await answer('/api/movies/probe/word'))?.includes(word) ?? false;
      expect(await until(`${word} is answered`, live, 20_000)).toBeLessThan(2000);
      await until('it said so', () => shop.said(/changed: live after/), 5000);
    }
  }, 60_000);

  it('shows what does not compile, and what ran goes on', async () => {
    shop.edit(QUERY, (text) => `${text}const = ;\n`);
    await until('it says so', () => shop.said(/movie\.query\.ts does not compile/), 10_000);
    expect(await answer('/api/movies/probe/word')).toContain('quince');
    shop.edit(QUERY, (text) => text.replace('const = ;\n', ''));
  }, 30_000);

  it('shows type errors, with file and line', async () => {
    shop.edit(QUERY, (text) => text.replace('probe() {', 'probe(): number {'));
    await until('they are shown', () => shop.said(/types: apps\/movie\/movie\.query\.ts\(\d+,\d+\): error TS2322/), 20_000);
    shop.edit(QUERY, (text) => text.replace('probe(): number {', 'probe() {'));
    await until('they are gone', () => shop.said(/types are well again/), 20_000);
  }, 50_000);

  it('keeps what ran when the new code cannot be loaded', async () => {
    shop.edit(QUERY, (text) => `${text}throw new Error('a mistake');\n`);
    await until('it says so', () => shop.said(/cannot be loaded, the old goes on: .*a mistake/), 20_000);
    expect(await answer('/api/movies?limit=1')).toContain('"items"');
    shop.edit(QUERY, (text) => text.replace("throw new Error('a mistake');\n", ''));
  }, 40_000);

  it('lets one process be taken over under the debugger, and hands it back', async () => {
    const mine = async () =>
      (await shop.ask<{ instances: Instance[] }>('status', '--json')).instances.filter(
        ({ process }) => process === 'movie-command',
      );
    const taker = shop.start('dev', 'movie-command', '--inspect=127.0.0.1:0');
    await until('it is taken', () => shop.said(/movie-command runs here now/), 20_000);
    expect(shop.said(/Debugger listening on ws:\/\/127\.0\.0\.1/)).toBe(true);
    expect((await mine()).map(({ slot, state }) => `${slot} ${state}`).sort()).toEqual(['0 elsewhere', '99 ready']);
    taker.kill('SIGINT');
    expect(await once(taker, 'exit')).toEqual([0, null]);
    await until('the mesh has it again', async () => (await mine()).map(({ slot, state }) => `${slot} ${state}`).join() === '0 ready', 15_000); // prettier-ignore
  }, 60_000);
});
