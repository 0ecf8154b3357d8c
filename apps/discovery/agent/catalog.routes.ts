import { type Catalog, checkJson, nodeServiceJson } from './catalog.js';
import { CATALOG_SERVICE, CHECK, filter, HEALTH, NODE, SERVICE } from './filter.js';
import { type Answer, type Ask, json, type Reading, type Route } from './input.js';
import { deregisterFromCatalog, registerInCatalog } from './registration.js';
import type { CheckRow, ServiceRow } from './store.js';

/** `/v1/catalog` and `/v1/health`: what is registered anywhere, and how it is. */
export const catalogRoutes = (catalog: Catalog): Route[] => [
  ...listRoutes(catalog),
  ...nodeRoutes(catalog),
  ...healthRoutes(catalog),
];

type Read = (ask: Ask) => Reading;

const only = (ask: Ask, rows: object[], roots: readonly string[]): Answer => json(rows.filter(filter(ask.text('filter'), roots)));

const tagged = (row: ServiceRow, tags: string[]) => {
  const own = row.Tags.map((tag) => tag.toLowerCase());
  return tags.every((tag) => own.includes(tag.toLowerCase()));
};

/** Nodes wanted by `?node-meta=key:value`, any number of times. */
const wantedNodes = ({ store }: Catalog, ask: Ask) => {
  const pairs = ask.query.getAll('node-meta').map((pair) => pair.split(/:(.*)/s));
  return [...store.nodes.values()].filter(({ Meta }) => pairs.every(([key, value]) => Meta?.[key!] === (value ?? '')));
};

function listRoutes(catalog: Catalog): Route[] {
  const { store, self } = catalog;
  const services: Read = (ask) => ({
    own: () => store.touched('services'),
    show: () => {
      const nodes = new Set(wantedNodes(catalog, ask).map(({ Node }) => Node));
      const names = new Map<string, Set<string>>();
      for (const { Node, Service, Tags } of store.services.values()) {
        if (nodes.has(Node)) names.set(Service, new Set([...(names.get(Service) ?? []), ...Tags]));
      }
      return json(Object.fromEntries([...names].sort().map(([name, tags]) => [name, [...tags]])));
    },
  });
  const service: Read = (ask) => {
    const name = ask.name('Missing service name');
    const wanted = () => catalog.servicesNamed(name).filter((row) => tagged(row, ask.query.getAll('tag')));
    return {
      ...ofService(catalog, name),
      show: () =>
        only(
          ask,
          wanted().map((row) => catalog.catalogJson(row)),
          CATALOG_SERVICE,
        ),
    };
  };
  return [
    { path: '/v1/catalog/datacenters', on: { GET: () => json([self.datacenter]) } },
    { path: '/v1/catalog/services', on: { GET: services } },
    { path: '/v1/catalog/service/', on: { GET: service } },
    { path: '/v1/catalog/register', on: { PUT: (ask) => (registerInCatalog(catalog, ask), json(true)) } },
    { path: '/v1/catalog/deregister', on: { PUT: (ask) => (deregisterFromCatalog(catalog, ask), json(true)) } },
  ];
}

/** Who waits for a service is woken by that service alone; one that does not exist has the index of the tables. */
const ofService = (catalog: Catalog, name: string) => ({
  own: () => catalog.store.touched(`service:${name}`),
  beside: () => (catalog.servicesNamed(name).length > 0 ? 0 : catalog.store.touched('nodes', 'services')),
});

function nodeRoutes(catalog: Catalog): Route[] {
  const { store } = catalog;
  const nodes: Read = (ask) => ({
    own: () => store.touched('nodes'),
    show: () =>
      only(
        ask,
        wantedNodes(catalog, ask).sort((a, b) => (a.Node < b.Node ? -1 : 1)),
        NODE,
      ),
  });
  const node = (list: (rows: ServiceRow[], ask: Ask) => unknown): Read => {
    return (ask) => {
      const name = ask.name('Missing node name');
      const show = () => {
        const Node = store.nodes.get(name);
        return json(Node ? { Node, Services: list(catalog.servicesOn(name), ask) } : null);
      };
      return { own: () => store.touched(`node:${name}`), show };
    };
  };
  const shown = (rows: ServiceRow[], ask: Ask) => {
    const test = filter(ask.text('filter'), SERVICE);
    const pairs = rows.map((row) => [row.ID, nodeServiceJson(row)] as const).filter(([, row]) => test(row));
    return pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  };
  return [
    { path: '/v1/catalog/nodes', on: { GET: nodes } },
    { path: '/v1/catalog/node/', on: { GET: node((rows, ask) => Object.fromEntries(shown(rows, ask))) } },
    { path: '/v1/catalog/node-services/', on: { GET: node((rows, ask) => shown(rows, ask).map(([, row]) => row)) } },
  ];
}

const healthOf =
  (catalog: Catalog): Read =>
  (ask) => {
    const name = ask.name('Missing service name');
    const passing = ask.isOn('passing');
    const isWell = (row: ServiceRow) => catalog.healthOf(row).every(({ Status }) => Status === 'passing');
    const isWanted = (row: ServiceRow) => tagged(row, ask.query.getAll('tag')) && (!passing || isWell(row));
    const shown = () =>
      catalog
        .servicesNamed(name)
        .filter(isWanted)
        .map((row) => catalog.healthJson(row));
    return { ...ofService(catalog, name), show: () => only(ask, shown(), HEALTH) };
  };

function healthRoutes(catalog: Catalog): Route[] {
  const { store } = catalog;
  const checks = (own: string, keep: (row: CheckRow) => boolean, ask: Ask): Reading => ({
    own: () => store.touched(own),
    beside: () => store.touched('checks'),
    show: () => only(ask, catalog.allChecks().filter(keep).map(checkJson), CHECK),
  });
  const ofName: Read = (ask) => {
    const name = ask.name('Missing service name');
    return checks(`service:${name}`, ({ ServiceName }) => ServiceName === name, ask);
  };
  const ofNode: Read = (ask) => {
    const name = ask.name('Missing node name');
    return checks(`checks:${name}`, ({ Node }) => Node === name, ask);
  };
  const ofState: Read = (ask) => {
    const state = ask.name('Missing check state');
    return checks('checks', ({ Status }) => state === 'any' || Status === state, ask);
  };
  return [
    { path: '/v1/health/service/', on: { GET: healthOf(catalog) } },
    { path: '/v1/health/checks/', on: { GET: ofName } },
    { path: '/v1/health/node/', on: { GET: ofNode } },
    { path: '/v1/health/state/', on: { GET: ofState } },
  ];
}
