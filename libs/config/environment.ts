import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSecret } from './secrets.js';

/** What the launcher of a running mesh leaves in `<data>/mesh.json`, so that a process started alone finds it. */
export interface RuntimeFile {
  pid: number;
  startedAt: string;
  gateway: string;
  consul: string;
  config: string;
  profile: string;
  /** Its processes, when it is a part of them alone. */
  only?: string[];
  /** Only while the embedded PostgreSQL runs: its address, without a user. */
  database?: { url: string };
}

/** The addresses and switches a process is given from outside; read nowhere else. */
export interface Environment {
  /** The project's folder. */
  root: string;
  /** The project's version, from its package.json. */
  version: string;
  /** Where state of this machine is kept. */
  dataDir: string;
  profile: string;
  /** The port to listen on, when one is wanted. */
  port?: number;
  /** The address to listen on: loopback, unless a container says otherwise. */
  bind: string;
  /** The address others find us at, when it is not the one we listen on. */
  address?: string;
  /** Which of several instances on this host: 0, 1, … */
  slot: number;
  /** What the outside calls the gateway, without a slash at its end: issuer and links are made of it. */
  publicUrl: string;
  /** The database server, without a process's own user; undefined while there is none. */
  databaseUrl?: string;
  /** True when that server is the one that comes with this project. */
  databaseIsEmbedded: boolean;
  consulUrl: string;
  configUrl: string;
  /** Brokers of a Kafka cluster to begin with, `host:port`; none while events go through the database. */
  kafkaBrokers: readonly string[];
  /** What the launcher left, if a mesh runs from this data folder. */
  runtime?: RuntimeFile;
  /** The terminal wants no colours. */
  noColor: boolean;
  /** A secret by its name: `NAME`, what the file in `NAME_FILE` holds now, or `<data>/secrets/name`. @throws Error when that file cannot be read */
  secret(name: string): string | undefined;
}

function readRuntime(dataDir: string): RuntimeFile | undefined {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'mesh.json'), 'utf8')) as RuntimeFile;
  } catch {
    return undefined;
  }
}

function brokers(text = ''): string[] {
  const all = text.split(',').map((broker) => broker.trim()).filter(Boolean); // prettier-ignore
  const wrong = all.find((broker) => !/^(\[[\da-f:]+\]|[^\s:/]+):\d{1,5}$/i.test(broker));
  if (wrong !== undefined) throw new Error(`KAFKA_BROKERS must be host:port, or several with commas; '${wrong}' is not`);
  return all;
}

function wholeNumber(env: NodeJS.ProcessEnv, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,5}$/.test(text)) throw new Error(`${name} must be a whole number, it is '${text}'`);
  return Number(text);
}

/** The folder that holds apps/, libs/ and config/. Compiled files lie one folder deeper, under dist/. */
export const projectRoot = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url));

const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };

/** What this process was given: the environment first, then what a running mesh left in its data folder, then the defaults of one laptop. */
export function environment(env: NodeJS.ProcessEnv = process.env): Environment {
  const dataDir = env.MESH_DATA || join(projectRoot, '.data');
  const runtime = readRuntime(dataDir);
  const given = readSecret(env, undefined, 'DATABASE_URL');
  return {
    root: projectRoot,
    version,
    dataDir,
    profile: env.MESH_PROFILE || runtime?.profile || 'dev',
    port: wholeNumber(env, 'PORT'),
    bind: env.MESH_BIND || '127.0.0.1',
    address: env.MESH_ADDRESS || undefined,
    slot: wholeNumber(env, 'MESH_SLOT') ?? 0,
    publicUrl: (env.PUBLIC_URL || runtime?.gateway || 'http://localhost:8080').replace(/\/+$/, ''),
    databaseUrl: given ?? runtime?.database?.url,
    databaseIsEmbedded: given === undefined && runtime?.database !== undefined,
    consulUrl: env.CONSUL_HTTP_ADDR || runtime?.consul || 'http://127.0.0.1:8500',
    configUrl: env.CONFIG_URL || runtime?.config || 'http://127.0.0.1:8888',
    kafkaBrokers: brokers(readSecret(env, undefined, 'KAFKA_BROKERS')),
    runtime,
    noColor: Boolean(env.NO_COLOR),
    secret: (name) => readSecret(env, dataDir, name),
  };
}

/** What a program needs of our environment that is told all else: paths and language, and none of our settings. */
export function bareEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TEMP', 'SystemRoot'];
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
