import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { processFiles, type ProcessFile } from './names.js';

type Class = abstract new (...args: never[]) => object;

/** What this page wants to know of a process; `service()` returns more. */
interface Definition {
  kind: 'service';
  name: string;
  routes?: readonly string[];
  tables?: readonly Class[];
  calls?: readonly string[];
  controllers?: readonly Class[];
}

type Load = (file: string) => Promise<Record<string, unknown>>;
type Row = readonly string[];

const isDefinition = (value: unknown): value is Definition => (value as Partial<Definition> | null)?.kind === 'service';
const code = (text: string): string => `\`${text}\``;
const list = (items: readonly string[]): string => items.map(code).join(' ') || '–';

/** Nest's own names for what its decorators leave, and #auth's. Its RequestMethod is an enum of numbers in this order. */
const VERBS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'ALL', 'OPTIONS', 'HEAD', 'SEARCH'];
const meta = (key: string, target: object): unknown => Reflect.getMetadata(key, target);
const pathsOf = (target: object): string[] => [meta('path', target) ?? ''].flat() as string[];

/** The method's decorator decides before the class's. */
function whoMay(controller: Class, handler: object): string {
  for (const target of [handler, controller]) {
    if (meta('is-public', target)) return 'everyone';
    const roles = (meta('allowed-roles', target) ?? []) as string[];
    const clients = (meta('allowed-clients', target) ?? []) as string[];
    if (roles.length + clients.length > 0) return [...roles, ...clients.map((client) => `the client ${code(client)}`)].join(', ');
  }
  return 'nobody';
}

function handlersOf(controller: Class): object[] {
  const found = new Map<string, object>();
  for (let proto = controller.prototype as object; proto !== Object.prototype; proto = Object.getPrototypeOf(proto) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto))) {
      if (typeof value === 'function' && !found.has(name)) found.set(name, value as object);
    }
  }
  return [...found.values()].filter((handler) => meta('method', handler) !== undefined);
}

function routesOf({ name, routes = [], controllers = [] }: Definition): Row[] {
  const clean = (path: string) => `/${path}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
  const outside = (path: string) => {
    const route = routes.find(
      (declared) => path === declared.replace(/^\/api/, '') || path.startsWith(`${declared.replace(/^\/api/, '')}/`),
    );
    return route ? `/api${path}` : path;
  };
  return controllers.flatMap((controller) =>
    pathsOf(controller).flatMap((prefix) =>
      handlersOf(controller).flatMap((handler) =>
        pathsOf(handler).map((path) => [
          code(`${VERBS[meta('method', handler) as number] ?? 'ALL'} ${outside(clean(`${prefix}/${path}`))}`),
          code(name),
          whoMay(controller, handler),
        ]),
      ),
    ),
  );
}

/** The first sentence of the docstring in front of the process's definition; a side of a resource says enough by its name. */
function sentenceOf({ file, source }: ProcessFile): string {
  const doc = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export const \w+(?:: \w+)? = \w*[sS]ervice\b/.exec(source)?.[1] ?? '';
  const text = doc
    .replaceAll(/^\s*\* ?/gm, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  const [, subject, side] = /(\w[\w-]*)\.(command|query)\.ts$/.exec(file) ?? [];
  return text.split(/(?<=\.) (?=[A-Z@])/)[0] || (subject ? `the ${side} side of ${subject}` : '–');
}

/** Names of an *.events.ts, and where each is listened to: `'movie.created': …` or `@EventPattern('movie.created')` in a side. */
function events(root: string, processes: readonly ProcessFile[]): Row[] {
  return globSync('apps/*/*.events.ts', { cwd: root })
    .sort()
    .flatMap((file) => {
      const source = readFileSync(join(root, file), 'utf8');
      return [...source.matchAll(/^\s+'([a-z-]+\.[a-zA-Z-]+)': (.+?);?$/gm)].map(([, event = '', body = '']) => {
        const listens = new RegExp(`'${event}': |EventPattern\\('${event}'\\)`);
        const listeners = processes.filter((process) => listens.test(process.source)).map(({ name }) => name);
        return [code(event), code(body), code(`${basename(file, '.events.ts')}-command`), list(listeners)];
      });
    });
}

const table = (head: Row, rows: readonly Row[]): string =>
  [head, head.map(() => '---'), ...rows]
    .map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');

async function definitionOf({ file }: ProcessFile, load: Load): Promise<Definition> {
  const found = Object.values(await load(file)).find(isDefinition);
  if (!found) throw new Error(`${file} serves a process, but exports no definition`);
  return found;
}

/**
 * The three tables of apps/README.md as the code has them: processes, routes, events.
 *
 * @param root  the project's folder
 * @param load  imports the file of a process, given from the root
 * @throws Error when a process does not export what it serves
 */
export async function meshTables(root: string, load: Load): Promise<string> {
  const processes = processFiles(root);
  const known = await Promise.all(processes.map(async (process) => ({ process, definition: await definitionOf(process, load) })));
  const rows = known.map(({ process, definition: { routes = [], tables = [], calls = [] } }) => [
    `[${code(process.name)}](${process.file.replace('apps/', '')})`,
    sentenceOf(process),
    list(routes),
    list(tables.map(({ name }) => name)),
    list(calls),
  ]);
  return [
    `## Processes\n\n${table(['process', 'role', 'public routes', 'tables', 'calls'], rows)}`,
    `## Routes\n\n${table(
      ['route', 'process', 'who may'],
      known.flatMap(({ definition }) => routesOf(definition)),
    )}`,
    `## Events\n\n${table(['event', 'body', 'said by', 'heard by'], events(root, processes))}`,
  ].join('\n\n');
}

const BETWEEN = /(<!-- tables of the code -->)[\s\S]*(<!-- end -->)/;

/** The page with its tables replaced. @throws Error when the page has lost its two marks */
export function withTables(page: string, tables: string): string {
  if (!BETWEEN.test(page)) throw new Error('the page must hold <!-- tables of the code --> and <!-- end -->');
  return page.replace(BETWEEN, (_, before: string, after: string) => `${before}\n\n${tables}\n\n${after}`);
}

// node dist/libs/house/page.js   writes the tables anew
if (import.meta.main) {
  const root = resolve(import.meta.dirname, '../../..');
  const load: Load = async (file) =>
    (await import(pathToFileURL(join(root, 'dist', file.replace(/\.ts$/, '.js'))).href)) as Record<string, unknown>;
  const page = join(root, 'apps/README.md');
  writeFileSync(page, withTables(readFileSync(page, 'utf8'), await meshTables(root, load)));
}
