import { agentRoutes } from './agent.routes.js';
import type { Catalog } from './catalog.js';
import { catalogRoutes } from './catalog.routes.js';
import type { Checks } from './checks.js';
import type { Route } from './input.js';
import type { Kv } from './kv.js';
import { kvRoutes } from './kv.routes.js';

/** What the routes act on. */
export interface Parts {
  catalog: Catalog;
  checks: Checks;
  kv: Kv;
  /** What is kept of a heartbeat's note, bytes. */
  outputBytes: number;
}

/** All that the agent answers to, by path and method. */
export const routes = (parts: Parts): Route[] => [
  ...agentRoutes(parts),
  ...catalogRoutes(parts.catalog),
  ...kvRoutes(parts.kv, parts.catalog),
];
