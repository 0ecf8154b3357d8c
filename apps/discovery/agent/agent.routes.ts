import { createHash } from 'node:crypto';
import { agentServiceJson, type Catalog, checkJson } from './catalog.js';
import type { Checks } from './checks.js';
import { CHECK, filter, SERVICE } from './filter.js';
import { type Answer, type Ask, decode, json, record, Refusal, type Route, text } from './input.js';
import { registerCheck, registerService } from './registration.js';
import { at, type CheckRow, type ServiceRow, type Status } from './store.js';

/** `/v1/agent` and `/v1/status`: what was registered here, and who this is. */
export const agentRoutes = (parts: Parts): Route[] => [
  ...ownRoutes(parts),
  ...maintenanceRoutes(parts),
  ...healthRoutes(parts),
  ...beatRoutes(parts),
];

interface Parts {
  catalog: Catalog;
  checks: Checks;
  outputBytes: number;
}

type Shown = [id: string, row: object];

const byId = (rows: Shown[], ask: Ask, roots: readonly string[]): Answer => {
  const test = filter(ask.text('filter'), roots);
  return json(Object.fromEntries(rows.filter(([, row]) => test(row)).sort((a, b) => (a[0] < b[0] ? -1 : 1))));
};

function ownRoutes({ catalog, checks }: Parts): Route[] {
  const { self, store } = catalog;
  const services = (ask: Ask) => {
    const mine = catalog.servicesOn(self.node).filter(({ local }) => local);
    return byId(
      mine.map((row): Shown => [row.ID, agentServiceJson(row)]),
      ask,
      SERVICE,
    );
  };
  const shownCheck = (row: CheckRow): Shown => {
    const Output = checks.outputOf(at(self.node, row.CheckID), row);
    return [row.CheckID, checkJson({ ...row, Output, CreateIndex: 0, ModifyIndex: 0 })];
  };
  const listChecks = (ask: Ask) => {
    const mine = catalog.checksOn(self.node).filter(({ local }) => local);
    return byId(mine.map(shownCheck), ask, CHECK);
  };
  const drop = (ask: Ask) => {
    const row = localService(catalog, ask.name('ServiceID missing', 500));
    if (row) catalog.dropService(row);
    return undefined;
  };
  const port = () => store.services.get(at(self.node, 'consul'))!.Port;
  return [
    { path: '/v1/agent/self', on: { GET: () => json(selfJson(catalog, port())) } },
    { path: '/v1/agent/members', on: { GET: () => json([memberJson(catalog, port())]) } },
    { path: '/v1/agent/services', on: { GET: services } },
    { path: '/v1/agent/checks', on: { GET: listChecks } },
    { path: '/v1/agent/service/', on: { GET: (ask) => oneService(localService(catalog, ask.name('Missing service ID')), ask) } },
    { path: '/v1/agent/service/register', on: { PUT: (ask) => (registerService(catalog, ask), undefined) } },
    { path: '/v1/agent/service/deregister/', on: { PUT: drop } },
    { path: '/v1/status/leader', on: { GET: () => json(`${self.address}:${port()}`) } },
    { path: '/v1/status/peers', on: { GET: () => json([`${self.address}:${port()}`]) } },
  ];
}

const localService = (catalog: Catalog, id: string): ServiceRow | undefined => {
  const row = catalog.store.services.get(at(catalog.self.node, id));
  return row?.local ? row : undefined;
};

function maintenanceRoutes({ catalog }: Parts): Route[] {
  const service = (ask: Ask) => {
    const id = ask.name('Missing service ID');
    const enable = maintenance(ask);
    const row = localService(catalog, id);
    if (!row) throw new Refusal(404, `No service registered with ID "${id}"`);
    return setMaintenance(catalog, enable, `_service_maintenance:${id}`, ask, row);
  };
  const node = (ask: Ask) => setMaintenance(catalog, maintenance(ask), '_node_maintenance', ask);
  return [
    { path: '/v1/agent/service/maintenance/', on: { PUT: service } },
    { path: '/v1/agent/maintenance', on: { PUT: node } },
  ];
}

function oneService(row: ServiceRow | undefined, { rest }: Ask): Answer {
  if (!row) throw new Refusal(404, `unknown service ID: ${rest}`);
  const shown = agentServiceJson(row);
  const ContentHash = createHash('sha256').update(JSON.stringify(shown)).digest('hex').slice(0, 16);
  return { json: { ...shown, ContentHash }, headers: { 'X-Consul-ContentHash': ContentHash } };
}

function maintenance(ask: Ask): boolean {
  const value = ask.text('enable');
  if (!value) throw new Refusal(400, 'Missing value for enable');
  if (!/^(true|false)$/.test(value)) throw new Refusal(400, `Invalid value for enable: "${value}"`);
  return value === 'true';
}

function setMaintenance(catalog: Catalog, enable: boolean, CheckID: string, ask: Ask, service?: ServiceRow): undefined {
  const before = catalog.store.checks.get(at(catalog.self.node, CheckID));
  const what = service ? 'service' : 'node';
  if (!enable && before) catalog.dropCheck(before);
  if (!enable || before) return;
  const of = service && { ServiceID: service.ID, ServiceName: service.Service, ServiceTags: service.Tags };
  const reason = `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`;
  const Name = service ? 'Service Maintenance Mode' : 'Node Maintenance Mode';
  catalog.putCheck({ ...catalog.nodeCheck(CheckID), Name, Notes: ask.text('reason') || reason, Type: 'maintenance', ...of });
}

/** How a service is in a status of HTTP, for load balancers that ask the agent itself. */
const AS_STATUS = { passing: 200, warning: 429, critical: 503 };

function healthRoutes({ catalog }: Parts): Route[] {
  const stateOf = (row: ServiceRow) => {
    const checks = catalog.healthOf(row).filter(({ local }) => local);
    const has = (status: Status) => checks.some(({ Status }) => Status === status);
    const AggregatedStatus = has('critical') ? 'critical' : has('warning') ? 'warning' : 'passing';
    const Checks = checks.map((check) => checkJson({ ...check, CreateIndex: 0, ModifyIndex: 0 }));
    return { AggregatedStatus, Service: agentServiceJson(row), Checks } as const;
  };
  const ofId = ({ rest }: Ask): Answer => {
    const row = localService(catalog, rest);
    const state = row && stateOf(row);
    if (state) return { status: AS_STATUS[state.AggregatedStatus], json: state };
    const headers = { 'X-Consul-Reason': `ServiceId ${rest} not found` };
    return { status: 404, headers, json: { AggregatedStatus: 'critical', Service: null, Checks: null } };
  };
  const ofName = ({ rest }: Ask): Answer => {
    const states = catalog
      .servicesNamed(rest)
      .filter(({ local }) => local)
      .map(stateOf);
    if (states.length === 0) return { status: 404, headers: { 'X-Consul-Reason': `ServiceName ${rest} Not Found` }, json: [] };
    return { status: Math.max(...states.map((state) => AS_STATUS[state.AggregatedStatus])), json: states };
  };
  return [
    { path: '/v1/agent/health/service/id/', on: { GET: ofId } },
    { path: '/v1/agent/health/service/name/', on: { GET: ofName } },
  ];
}

function memberJson({ self, store }: Catalog, port: number): object {
  const own = { acls: '0', bootstrap: '1', build: `${self.version}:`, dc: self.datacenter, ft_fs: '1', id: store.nodeId };
  const Tags = { ...own, port: String(port), raft_vsn: '3', role: 'consul', segment: '', vsn: '2', vsn_max: '3', vsn_min: '2' };
  const protocol = { ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 5, DelegateCur: 4 };
  return { Name: self.node, Addr: self.address, Port: port, Tags, Status: 1, ...protocol };
}

function selfJson(catalog: Catalog, port: number): object {
  const { node: NodeName, datacenter: Datacenter, version: Version, address } = catalog.self;
  const { nodeId: NodeID, index } = catalog.store;
  const count = (rows: Iterable<{ local: boolean }>) => String([...rows].filter(({ local }) => local).length);
  const agent = { checks: count(catalog.store.checks.values()), services: count(catalog.store.services.values()) };
  const consul = { bootstrap: 'true', known_datacenters: '1', leader: 'true', leader_addr: `${address}:${port}`, server: 'true' };
  return {
    Config: { Datacenter, NodeName, NodeID, Revision: '', Server: true, Version },
    DebugConfig: { Datacenter, NodeName, NodeID, HTTPPort: port, DevMode: true },
    Coord: { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 0.00001 },
    Member: memberJson(catalog, port),
    Stats: {
      agent,
      build: { prerelease: '', revision: '', version: Version },
      consul,
      raft: { applied_index: String(index), state: 'Leader' },
    },
    Meta: { 'consul-network-segment': '' },
  };
}

function beatRoutes({ catalog, checks, outputBytes }: Parts): Route[] {
  const { store } = catalog;
  const { node } = catalog.self;
  const beat = (id: string, status: Status, output: string) => {
    if (checks.beat(at(node, id), status, output.slice(0, outputBytes))) return undefined;
    throw new Refusal(500, `CheckID "${id}" does not have associated TTL`);
  };
  const verb = (name: string, status: Status): Route => ({
    path: `/v1/agent/check/${name}/`,
    on: { PUT: (ask) => beat(ask.rest, status, ask.text('note') ?? '') },
  });
  const update = (ask: Ask) => {
    const { Status = '', Output = '' } = decode(ask.body, record({ Status: text, Output: text }));
    if (!/^(passing|warning|critical)$/.test(Status)) throw new Refusal(400, `Invalid check status: '${Status}'`);
    return beat(ask.rest, Status as Status, Output);
  };
  const drop = (ask: Ask) => {
    const row = store.checks.get(at(node, ask.name('CheckID missing', 500)));
    if (row?.local) catalog.dropCheck(row);
    return undefined;
  };
  return [
    { path: '/v1/agent/check/register', on: { PUT: (ask) => (registerCheck(catalog, ask), undefined) } },
    { path: '/v1/agent/check/deregister/', on: { PUT: drop } },
    { path: '/v1/agent/check/update/', on: { PUT: update } },
    ...[verb('pass', 'passing'), verb('warn', 'warning'), verb('fail', 'critical')],
  ];
}
