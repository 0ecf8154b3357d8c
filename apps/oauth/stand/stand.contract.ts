import { createHash } from 'node:crypto';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Flat, flatten } from '#config';
import type { ServiceDefinition } from '#service';
import { startTestMesh, type TestMesh } from '#testing';
import { OAuth } from '../oauth.js';
import { Browser } from './browser.contract.js';
import { standInForUsers, type Users } from './users.contract.js';

/** The authorization server as it stands behind the gateway: under one public address, whatever port it has. */
export interface Stand {
  mesh: TestMesh;
  users: Users;
  publicUrl: string;
  issuer: string;
  /** A browser of its own, with the address that the gateway would see. */
  browser(options?: { address?: string; language?: string }): Browser;
  /** An authorization request of `web`, or with other parameters; one that is '' is left out. */
  authorization(parameters?: Record<string, string>): string;
  /** Which instance answers: 0, 1, … in turn when there are several. */
  instances: string[];
  stop(): Promise<void>;
}

/** Secrets of the clients that the specs speak for. */
export const SECRETS = {
  CLIENT_SECRET_MESH_CLI: 'a secret of the command line, long enough',
  CLIENT_SECRET_MOVIE_QUERY: 'a-secret-of-a-service',
  CLIENT_SECRET_PARTNER: 'a secret of a partner: 100% + more',
} as const;

/** Those of the configuration, one of somebody else, and one on the user's own machine. */
const CLIENTS: Flat = flatten({
  oauth: {
    clients: [
      {
        ...{ id: 'web', name: 'CineManzana', isPublic: true, isFirstParty: true },
        redirectUris: ['/signed-in', 'http://127.0.0.1:9/callback'],
        postLogoutRedirectUris: ['/', 'http://127.0.0.1:9/bye'],
      },
      { id: 'mesh-cli', name: "The mesh's command line", speaksForItself: true, roles: ['chain-admin', 'operator'] },
      { id: 'partner', name: 'Popcorn & <b>Friends</b>', redirectUris: ['http://127.0.0.1:9/partner'] },
      {
        ...{ id: 'phone', name: 'CineManzana for phones', isPublic: true, isNative: true, isFirstParty: true },
        redirectUris: ['http://127.0.0.1/back'],
      },
    ],
  },
});

/** The gateway's part: one address, honest headers, an instance in turn. */
function door(instances: string[], addresses: Map<string, string>): Server {
  let turn = 0;
  return createServer((req, res) => {
    const target = new URL(req.url!, instances[turn++ % instances.length]);
    const { 'x-browser': browser = '', ...headers } = req.headers;
    const address = addresses.get(String(browser)) ?? '203.0.113.1';
    // What a client claims stands in front; the gateway's own word is the last.
    const forwarded = [req.headers['x-forwarded-for'], address].filter(Boolean).join(', ');
    const sent = { ...headers, host: target.host, 'x-forwarded-for': forwarded, 'x-forwarded-proto': 'http' };
    const on = request(target, { method: req.method, headers: sent }, (answer) => {
      res.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(res);
    });
    on.on('error', () => res.destroy());
    req.pipe(on);
  });
}

/** What proves that a code is redeemed by who asked for it, and its hash (RFC 7636). */
export const VERIFIER = 'a-verifier-that-is-long-enough-for-the-standard-to-take';
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

/** Where `web` is sent back to. */
export const CALLBACK = 'http://127.0.0.1:9/callback';

export async function startStand(config: Flat = {}, others: readonly ServiceDefinition[] = []): Promise<Stand> {
  const instances: string[] = [];
  const addresses = new Map<string, string>();
  const server = door(instances, addresses);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const publicUrl = `http://localhost:${(server.address() as AddressInfo).port}`;
  const before = { ...process.env };
  Object.assign(process.env, SECRETS, { PUBLIC_URL: publicUrl, MESH_PROFILE: 'test', MESH_DATA: '/nowhere' });
  const users = standInForUsers();
  const mesh = await startTestMesh({ processes: [users.definition, OAuth, ...others], config: { ...CLIENTS, ...config } });
  instances.push(mesh.url('oauth'));
  return {
    ...{ mesh, users, publicUrl, issuer: `${publicUrl}/oauth`, instances },
    authorization: (parameters = {}) => {
      const all = {
        ...{ client_id: 'web', redirect_uri: CALLBACK, response_type: 'code', scope: 'openid' },
        ...{ code_challenge: CHALLENGE, code_challenge_method: 'S256', ...parameters },
      };
      const given = Object.entries(all).filter(([, value]) => value !== '');
      return `${publicUrl}/oauth/auth?${new URLSearchParams(given).toString()}`;
    },
    browser: ({ address, language } = {}) => {
      const id = String(addresses.size);
      addresses.set(id, address ?? '203.0.113.1');
      return new Browser({ 'x-browser': id, ...(language ? { 'accept-language': language } : {}) });
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await mesh.stop();
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
      Object.assign(process.env, before);
    },
  };
}
