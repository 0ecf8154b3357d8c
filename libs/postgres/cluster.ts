import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Binaries } from './binaries.js';
import { isRoot, isTemporary, nobody, pathHash, reachable, shelters, type SystemUser } from './files.js';

/** Where one cluster keeps its things. */
export interface Cluster {
  /** Our folder: password, port, who runs it. */
  dir: string;
  /** PGDATA: inside `dir`, or elsewhere when PostgreSQL's user cannot reach that. */
  data: string;
  /** Whom PostgreSQL runs as, when not as ourselves. */
  user?: SystemUser;
}

/** Said by every program of PostgreSQL in English, whatever the terminal speaks; and nothing of our environment is its business. */
export const QUIET_ENV = process.platform === 'win32' ? undefined : { LC_ALL: 'C', TZ: 'UTC' };

const movedFile = (dir: string) => join(dir, 'moved');

function movedTo(dir: string): string | undefined {
  const file = movedFile(dir);
  if (!existsSync(file)) return undefined;
  const data = readFileSync(file, 'utf8').trim();
  // A copied clone brings the note of the original along, whose data it must not touch.
  return basename(dirname(data)) === `cinemanzana-${pathHash(dir)}` ? data : undefined;
}

/** Whose data a home outside holds. */
const originFile = (home: string) => join(home, 'of');

/** Data in a temporary folder whose clone is gone, as after a test that was killed, are nobody's. */
function sweep(place: string) {
  if (!isTemporary(`${place}/`)) return;
  for (const name of readdirSync(place).filter((entry) => entry.startsWith('cinemanzana-'))) {
    const home = join(place, name);
    const origin = existsSync(originFile(home)) ? readFileSync(originFile(home), 'utf8').trim() : undefined;
    if (origin && !existsSync(origin)) rmSync(home, { recursive: true, force: true });
  }
}

function moveAway(dir: string, user: SystemUser, lasting: boolean): string {
  const [place] = shelters(user, lasting && !isTemporary(dir));
  if (!place) throw new Error(`PostgreSQL may not run as root, and user ${user.uid} cannot enter ${dir}: chmod o+x its parents`);
  sweep(place);
  const home = join(place, `cinemanzana-${pathHash(dir)}`);
  if (existsSync(home) && statSync(home).uid !== process.getuid?.()) throw new Error(`${home} was not made by us: remove it`);
  // The note that led here was deleted with the folder, and whoever did that meant the data.
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { mode: 0o711 });
  chmodSync(home, 0o711);
  writeFileSync(originFile(home), `${dir}\n`);
  const data = join(home, 'data');
  writeFileSync(movedFile(dir), `${data}\n`);
  return data;
}

/**
 * Find or choose the folders of the cluster in `path`.
 *
 * @param lasting  its data must outlive a restart of the machine
 * @throws Error when PostgreSQL's user can reach neither `path` nor a folder outside
 */
export function openCluster(path: string, lasting: boolean): Cluster {
  const made = mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined;
  const dir = realpathSync(path);
  if (made) chmodSync(dir, 0o711);
  const inside = join(dir, 'data');
  if (!isRoot()) return { dir, data: inside };
  const data = movedTo(dir) ?? inside;
  const owner = existsSync(data) ? statSync(data) : undefined;
  // An ordinary user's cluster stays that user's, also when root starts it once.
  const user = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : nobody();
  if (owner || reachable(dir, user)) return { dir, data, user };
  return { dir, data: moveAway(dir, user, lasting), user };
}

/**
 * Give the cluster in `from` another folder, with its data wherever they are. Nothing may run on it.
 *
 * @param to  a path at which there is nothing
 */
export function renameCluster(from: string, to: string): void {
  const dir = realpathSync(from);
  const data = movedTo(dir);
  renameSync(dir, to);
  if (!data) return;
  const target = realpathSync(to);
  const home = join(dirname(dirname(data)), `cinemanzana-${pathHash(target)}`);
  rmSync(home, { recursive: true, force: true }); // of a folder that was here once and was deleted by hand
  renameSync(dirname(data), home);
  writeFileSync(originFile(home), `${target}\n`);
  writeFileSync(movedFile(target), `${join(home, basename(data))}\n`);
}

/** Remove every file of the cluster in `path`, also those that had to live elsewhere. */
export function removeCluster(path: string): void {
  if (!existsSync(path)) return;
  const dir = realpathSync(path);
  const data = movedTo(dir);
  if (data) rmSync(dirname(data), { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
}

/** The superuser's password, made on first use, readable by us alone. */
export function password({ dir }: Cluster): string {
  const file = join(dir, 'password');
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  return readFileSync(file, 'utf8').trim();
}

// The built-in collation is the same on every system and every version of its C library; the character classes that
// pg_trgm needs beyond ASCII come from the C library, whose name for UTF-8 differs.
const LOCALE: Partial<Record<NodeJS.Platform, string[]>> = {
  linux: ['--locale=C.UTF-8'],
  darwin: ['--locale=C', '--lc-ctype=UTF-8'],
};
const COLLATION = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];

function run(program: string, args: string[], user?: SystemUser): Promise<void> {
  return new Promise((done, failed) => {
    let said = '';
    // A group of its own: Ctrl-C reaches every process of the foreground group, and half a cluster is no cluster.
    const child = spawn(program, args, { ...user, cwd: '/', env: QUIET_ENV, detached: true, windowsHide: true });
    const hear = (text: Buffer) => void (said += text.toString());
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', failed);
    child.once('close', (code) =>
      code === 0 ? done() : failed(new Error(`${basename(program)} failed (${code}):\n${said.trim()}`)),
    );
  });
}

/** Where PostgreSQL keeps what ALTER SYSTEM sets. */
export const CHANGED_SETTINGS = 'postgresql.auto.conf';

/**
 * Archiving can be switched on only by a restart, but what it does by a reload. So it is always on and does nothing until
 * the first backup: without a backup an archive is of no use, and nobody would clear it.
 *
 * @returns settings to start with
 */
export function archiving({ data }: Cluster): string[] {
  const file = join(data, CHANGED_SETTINGS);
  if (!/^archive_(command|library)\b/m.test(readFileSync(file, 'utf8'))) appendFileSync(file, `archive_command = 'exit 0'\n`);
  return ['archive_mode=on'];
}

/** Make the cluster's data unless it is there. What is there is whole: it is made beside its place and then renamed. */
export async function initialise(cluster: Cluster, { initdb }: Binaries, durable: boolean): Promise<void> {
  const { data, user } = cluster;
  if (existsSync(join(data, 'PG_VERSION'))) return;
  const home = dirname(data);
  for (const left of readdirSync(home).filter((name) => name.startsWith('new-'))) rmSync(join(home, left), { recursive: true });
  const making = mkdtempSync(join(home, 'new-'));
  const secret = `${making}.password`;
  try {
    writeFileSync(secret, `${password(cluster)}\n`, { mode: 0o600 });
    for (const path of user ? [making, secret] : []) chownSync(path, user!.uid, user!.gid);
    const sync = durable ? [] : ['--no-sync'];
    const locale = LOCALE[process.platform] ?? ['--locale=C'];
    await run(
      initdb,
      [
        '-D',
        making,
        '-U',
        'mesh',
        '--auth=scram-sha-256',
        `--pwfile=${secret}`,
        '--no-instructions',
        ...locale,
        ...COLLATION,
        ...sync,
      ],
      user,
    );
    renameSync(making, data);
  } finally {
    rmSync(secret, { force: true });
    rmSync(making, { recursive: true, force: true });
  }
}
