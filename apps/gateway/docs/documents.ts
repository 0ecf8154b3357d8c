import { createHash } from 'node:crypto';
import type { Client } from '#client';
import { newContext, runWith } from '#context';
import type { Discovery } from '#discovery';
import type { Log } from '#log';
import { type ApiDocument, mergeDocuments, type Part } from './openapi.js';
import { prefixesOf } from '../routes.js';
import type { GatewayConfig } from '../settings.js';

interface DocumentsParts {
  client: Pick<Client, 'call'>;
  discovery: Pick<Discovery, 'catalog' | 'instances' | 'ready'>;
  log: Log;
  config: GatewayConfig;
  version: string;
}

/** The merged document as it is sent. */
export interface Merged {
  text: string;
  etag: string;
}

interface Kept extends Part {
  /** The instances it came from; other ones may have another document. */
  from: string;
}

/** The OpenAPI documents of all discovered services in one. A service is asked again only when its instances are others. */
export class Documents {
  private readonly kept = new Map<string, Kept>();
  private merged?: Merged;
  private refreshing?: Promise<Merged>;

  constructor(private readonly parts: DocumentsParts) {}

  /** The document as of now. Callers at the same time share the work. */
  get(): Promise<Merged> {
    // What is fetched is everybody's, so it has no one's deadline.
    this.refreshing ??= runWith(newContext({ deadlineAt: Date.now() + this.parts.config.documentMs }), () =>
      this.refresh(),
    ).finally(() => (this.refreshing = undefined));
    return this.refreshing;
  }

  private async refresh(): Promise<Merged> {
    const services = [...this.parts.discovery.catalog()].flatMap(([service, tags]) => {
      const prefixes = prefixesOf(tags);
      return prefixes.length > 0 ? [{ service, prefixes }] : [];
    });
    const changes = await Promise.all(services.map(({ service, prefixes }) => this.fetch(service, prefixes)));
    const names = new Set(services.map(({ service }) => service));
    const gone = [...this.kept.keys()].filter((service) => !names.has(service));
    for (const service of gone) this.kept.delete(service);
    if (!this.merged || gone.length > 0 || changes.some(Boolean)) this.merged = this.merge();
    return this.merged;
  }

  /** @returns whether its document is another one now */
  private async fetch(service: string, prefixes: readonly string[]): Promise<boolean> {
    const { client, discovery, log, config } = this.parts;
    const known = this.kept.get(service);
    const instances = discovery.instances(service).map(({ id, port }) => `${id}:${port}`);
    const from = [...instances.sort(), ...prefixes].join(' ');
    if (known?.from === from && instances.length > 0) return false;
    try {
      const call = { method: 'GET', path: '/openapi.json', timeoutMs: config.documentMs, isAnonymous: true } as const;
      const { body: document } = await client.call<ApiDocument>(service, call);
      this.kept.set(service, { service, prefixes, document, from });
      return true;
    } catch (error) {
      // What was learnt of it before is better than nothing.
      log.warn('service did not give its document', { dependency: service, error });
      return false;
    }
  }

  private merge(): Merged {
    const description = 'All services of the mesh behind one door. Errors are problems (RFC 9457).';
    const text = JSON.stringify(
      mergeDocuments([...this.kept.values()], { title: 'CineManzana', version: this.parts.version, description }),
    );
    return { text, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` };
  }
}
