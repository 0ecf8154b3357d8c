import { userInfo } from 'node:os';
import { parse } from 'yaml';
import { environment, type ConfigEnvironment, type Environment, type Scalar } from '#config';
import { askJson, type Ask } from '../wire/http.js';
import { accessToken } from './token.js';
import { answer, columns } from './print.js';

/** Whom a value concerns. */
export interface Scope {
  /** A process's name, or `application` for all. */
  for: string;
  /** A profile, or `default` for all. */
  profile: string;
  json?: boolean;
}

/** A change of a value at run time, as the server tells it. */
interface Change {
  revision: string;
  application: string;
  profile: string;
  key: string;
  before: Scalar;
  after: Scalar;
  author: string;
  at: string;
}

/** A value in force, and where it comes from. */
interface InForce {
  key: string;
  value: Scalar;
  source: string;
}

const OVERRIDE = 'override:';
const server = ({ configUrl }: Environment) => configUrl.replace(/\/$/, '');

async function tell<T>(path: string, how: Ask = {}): Promise<T> {
  const env = environment();
  return askJson<T>(`${server(env)}${path}`, { ...how, token: await accessToken(env) });
}

/**
 * What was typed: `key value`, or any number of `key=value`; a value is a number, true, false, null or text.
 *
 * @throws Error when neither
 */
export function assignments(words: readonly string[]): { key: string; value: Scalar }[] {
  const [first = '', second = ''] = words;
  const pairs = words.length === 2 && !first.includes('=') ? [[first, second] as const] : words.map(split);
  return pairs.map(([key, value]) => ({ key, value: (parse(value) ?? null) as Scalar }));
}

function split(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`'${text}' is not key=value, such as breaker.timeoutMs=500`);
  return [text.slice(0, at).trim(), text.slice(at + 1)];
}

/** `mesh config set <key> <value>`: in force within two seconds in every process that it concerns. */
export async function set(words: readonly string[], scope: Scope): Promise<void> {
  for (const { key, value } of assignments(words)) {
    const change = { application: scope.for, profile: scope.profile, key, value, author: userInfo().username };
    const made = await tell<Change>('/overrides', { method: 'PUT', body: change });
    answer(scope.json, made, () => `${changeText(made)}\nundo: npx mesh config rollback ${Number(made.revision) - 1}`);
  }
}

/** `mesh config get [key]`: what is in force, and where it comes from. */
export async function get(key: string | undefined, scope: Scope): Promise<void> {
  const found = inForce(await read(scope)).filter((each) => !key || each.key === key || each.key.startsWith(`${key}.`));
  if (key && found.length === 0) throw new Error(`nothing is called '${key}' for ${scope.for}`);
  answer(scope.json, found, () => columns(['key', 'value', 'from'], found.map((each) => [each.key, JSON.stringify(each.value), each.source]))); // prettier-ignore
}

/** `mesh config diff`: what was changed at run time, beside what the files say. */
export async function diff(scope: Scope): Promise<void> {
  const all = await read(scope);
  const files = inForce({ ...all, propertySources: all.propertySources.filter(({ name }) => !name.startsWith(OVERRIDE)) });
  const changed = inForce(all)
    .filter(({ source }) => source.startsWith(OVERRIDE))
    .map(({ key, value, source }) => ({ key, value, file: files.find((each) => each.key === key)?.value ?? null, source }));
  answer(scope.json, changed, () =>
    changed.length
      ? columns(['key', 'in the files', 'now', 'for'], changed.map(({ key, value, file, source }) => [key, JSON.stringify(file), JSON.stringify(value), source.slice(OVERRIDE.length)])) // prettier-ignore
      : `nothing differs from the files for ${scope.for}`,
  );
}

/** `mesh config history`: the last changes, the newest first. */
export async function history({ json, limit }: { json?: boolean; limit: number }): Promise<void> {
  const { items } = await tell<{ items: Change[] }>(`/overrides/history?limit=${limit}`);
  answer(json, items, () => (items.length ? items.map(changeText).join('\n') : 'nothing was changed at run time'));
}

/** `mesh config rollback <revision>`: everything as it was right after that revision. */
export async function rollback(to: string, { json }: { json?: boolean }): Promise<void> {
  const { items } = await tell<{ items: Change[] }>('/overrides/rollback', {
    method: 'POST',
    body: { to, author: userInfo().username },
  });
  answer(json, items, () => (items.length ? items.map(changeText).join('\n') : `nothing has changed since revision ${to}`));
}

function read(scope: Scope): Promise<ConfigEnvironment> {
  const env = environment();
  const profile = scope.profile === 'default' ? env.profile : scope.profile;
  return askJson<ConfigEnvironment>(`${server(env)}/${scope.for}/${profile}`);
}

/** The first source that has a key decides. @source Spring Cloud Config, "Environment" */
export function inForce({ propertySources }: Pick<ConfigEnvironment, 'propertySources'>): InForce[] {
  const found = new Map<string, InForce>();
  for (const { name, source } of propertySources) {
    for (const [key, value] of Object.entries(source)) if (!found.has(key)) found.set(key, { key, value, source: name });
  }
  return [...found.values()].sort((a, b) => a.key.localeCompare(b.key));
}

function changeText({ revision, application, profile, key, before, after, author, at }: Change): string {
  const where = `${application}${profile === 'default' ? '' : `/${profile}`}`;
  const was = (value: Scalar) => (value === null ? 'as in the files' : JSON.stringify(value));
  return `${revision}  ${at}  ${where}  ${key}: ${was(before)} → ${was(after)}  (${author})`;
}
