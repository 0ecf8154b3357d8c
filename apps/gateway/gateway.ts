import type { INestApplication } from '@nestjs/common';
import type { Server } from 'node:http';
import { Verifier } from '#auth';
import { Client } from '#client';
import { environment } from '#config';
import { Discovery } from '#discovery';
import { Log } from '#log';
import { Metrics } from '#metrics';
import { type Listener, serve, service } from '#service';
import { AccessControl } from './access.js';
import { guardConnections } from './connections.js';
import { Documents } from './docs/documents.js';
import { Front } from './front.js';
import { Pages } from './docs/pages.js';
import { GatewayConfig } from './settings.js';

const PORT = 8080;

/** The door over the parts that every process has. */
function listener(app: INestApplication, server: Server): Listener {
  guardConnections(server);
  const [client, discovery, log, metrics, config] = [
    app.get(Client),
    app.get(Discovery),
    app.get(Log),
    app.get(Metrics),
    app.get(GatewayConfig),
  ];
  const { publicUrl, version } = environment();
  const access = new AccessControl({ client, discovery, verifier: app.get(Verifier), config });
  const documents = new Documents({ client, discovery, log, config, version });
  const pages = new Pages(documents, config);
  return new Front({ client, discovery, pages, access, log, metrics, config, publicUrl }).listener;
}

/** The only public door: finds the service of a route by its tag, and passes requests on. */
export const Gateway = service({
  name: 'gateway',
  sections: [GatewayConfig],
  door: { port: PORT, listener },
  stopping: (app) => app.get(Client).endStreams(),
});

await serve(import.meta, Gateway);
