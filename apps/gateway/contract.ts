import { once } from 'node:events';
import { createServer, type Server, type ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Verifier } from '#auth';
import { BreakerConfig, Breakers } from '#breaker';
import { Client, ClientConfig } from '#client';
import { fileSettings } from '#config';
import type { Discovery } from '#discovery';
import { silentLog } from '#log';
import { Metrics } from '#metrics';
import { forger } from '#testing';
import { AccessControl } from './access.js';
import { guardConnections } from './connections.js';
import { Documents } from './docs/documents.js';
import { Pages } from './docs/pages.js';
import { Front } from './front.js';
import { GatewayConfig } from './settings.js';

// What the gateway's specs share: a door of real parts over whatever registry a spec has.

/** The port a server listens on. */
export const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Let a server listen on a free port. */
export async function listen(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Close a server and cut what is connected to it. */
export async function kill(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

type Registry = Pick<Discovery, 'catalog' | 'instances' | 'ready' | 'onChange'>;

/** Open the public door over `discovery`. */
export async function openDoor(discovery: Registry, publicUrl = 'http://localhost', options: ServerOptions = {}) {
  const [log, metrics, mint] = [silentLog, new Metrics('gateway'), await forger()];
  const sections = [GatewayConfig, ClientConfig, BreakerConfig];
  const settings = fileSettings({ process: 'gateway', profile: 'test', sections, log });
  const config = settings.section(GatewayConfig);
  const breakers = new Breakers({ config: settings.section(BreakerConfig), log, metrics });
  const client = new Client({ discovery, breakers, log, metrics, config: settings.section(ClientConfig) });
  const access = new AccessControl({ client, discovery, verifier: new Verifier(mint.issuer, 100), config });
  const pages = new Pages(new Documents({ client, discovery, log, config, version: '0' }), config);
  const front = new Front({ client, discovery, access, pages, log, metrics, config, publicUrl });
  const door = await listen(createServer(options, (req, res) => void front.listener(req, res)));
  guardConnections(door);
  const close = async () => {
    await client.close();
    breakers.close();
    await kill(door);
  };
  return { door, port: portOf(door), config, breakers, metrics, mint, close };
}

/** A door that is open. */
export type Door = Awaited<ReturnType<typeof openDoor>>;
