import { isDeepStrictEqual } from 'node:util';
import { at, type CheckRow, type NodeRow, type ServiceRow, type Status, type Store } from './store.js';

/** The node that this agent is. */
export interface Self {
  node: string;
  address: string;
  datacenter: string;
  /** What it calls itself in `agent/self`: the version of Consul whose API it speaks. */
  version: string;
}

type New<T> = Omit<T, 'CreateIndex' | 'ModifyIndex'>;

/** Told of a check that came or changed, or (without a row) went. */
type CheckListener = (key: string, row: CheckRow | undefined, before: CheckRow | undefined) => void;

const SERF_HEALTH = 'serfHealth';
// What a server says of the protocols among servers, for clients that look; there is only one server here.
const PROTOCOLS = { raft_version: '3', serf_protocol_current: '2', serf_protocol_max: '5', serf_protocol_min: '1' };
const byKey = (a: [string, unknown], b: [string, unknown]) => (a[0] < b[0] ? -1 : 1);

/** Nodes, services and their checks: what is registered, and in which shape each endpoint shows it. */
export class Catalog {
  private readonly listeners: CheckListener[] = [];

  constructor(
    readonly store: Store,
    readonly self: Self,
  ) {
    const { node, address, datacenter, version } = self;
    const addresses = { lan: address, lan_ipv4: address, wan: address, wan_ipv4: address };
    const Meta = { 'consul-network-segment': '' };
    this.putNode({ ID: store.nodeId, Node: node, Address: address, Datacenter: datacenter, TaggedAddresses: addresses, Meta });
    const check = { Name: 'Serf Health Status', Status: 'passing' as const, Output: 'Agent alive and reachable' };
    this.putCheck({ ...this.nodeCheck(SERF_HEALTH), ...check, local: false });
    this.serveAt(store.services.get(at(node, 'consul'))?.Port ?? 0, version);
  }

  /** Show the agent itself as service `consul`, as a server does. @param port  0 while it does not listen yet */
  serveAt(port: number, version = this.self.version): void {
    const Meta = { non_voter: 'false', ...PROTOCOLS, version };
    this.putService({ ...this.service('consul', 'consul'), local: false, Port: port, Meta });
  }

  onCheck(listener: CheckListener): void {
    this.listeners.push(listener);
  }

  /** A service of this node with all that a registration may leave out. */
  service(ID: string, Service: string): New<ServiceRow> {
    const Weights = { Passing: 1, Warning: 1 };
    const rest = { Tags: [], Address: '', Meta: {}, Port: 0, Weights, EnableTagOverride: false };
    return { Node: this.self.node, local: true, ID, Service, ...rest };
  }

  /** A check of this node with all that a registration may leave out. Critical until shown otherwise, as Consul has it. */
  nodeCheck(CheckID: string): New<CheckRow> {
    const service = { ServiceID: '', ServiceName: '', ServiceTags: [] };
    const text = { Name: CheckID, Notes: '', Output: '', Type: '', Definition: {} };
    return { Node: this.self.node, local: true, CheckID, Status: 'critical', ...text, ...service };
  }

  putNode(row: New<NodeRow>): void {
    const before = this.store.nodes.get(row.Node);
    if (same(before, row)) return;
    const named = this.servicesOn(row.Node).map(({ Service }) => `service:${Service}`);
    this.store.commit(['nodes', `node:${row.Node}`, ...named], (index) =>
      this.store.nodes.set(row.Node, { ...row, CreateIndex: before?.CreateIndex ?? index, ModifyIndex: index }),
    );
  }

  /** Keep a service; one that is there already and equal changes nothing and wakes nobody. */
  putService(row: New<ServiceRow>): void {
    const key = at(row.Node, row.ID);
    const before = this.store.services.get(key);
    if (same(before, row)) return;
    const names = new Set([row.Service, before?.Service ?? row.Service]);
    this.store.commit(['services', `node:${row.Node}`, ...[...names].map((name) => `service:${name}`)], (index) =>
      this.store.services.set(key, { ...row, CreateIndex: before?.CreateIndex ?? index, ModifyIndex: index }),
    );
    for (const check of this.checksOf(row)) this.putCheck({ ...check, ServiceName: row.Service, ServiceTags: row.Tags });
  }

  putCheck(row: New<CheckRow>): void {
    const key = at(row.Node, row.CheckID);
    const before = this.store.checks.get(key);
    if (same(before, row)) return;
    const next = { ...row, CreateIndex: before?.CreateIndex ?? 0, ModifyIndex: 0 };
    this.store.commit(this.topicsOf(row), (index) => {
      this.store.checks.set(key, Object.assign(next, { CreateIndex: before?.CreateIndex ?? index, ModifyIndex: index }));
    });
    for (const listener of this.listeners) listener(key, next, before);
  }

  setStatus(row: CheckRow, Status: Status, Output: string): void {
    this.putCheck({ ...row, Status, Output });
  }

  dropCheck(row: CheckRow): void {
    const key = at(row.Node, row.CheckID);
    this.store.commit(this.topicsOf(row), () => this.store.checks.delete(key));
    for (const listener of this.listeners) listener(key, undefined, row);
  }

  dropService(row: ServiceRow): void {
    for (const check of this.checksOf(row)) this.dropCheck(check);
    this.store.commit(['services', `node:${row.Node}`, `service:${row.Service}`], () =>
      this.store.services.delete(at(row.Node, row.ID)),
    );
  }

  dropNode(name: string): void {
    if (!this.store.nodes.has(name)) return;
    for (const row of this.servicesOn(name)) this.dropService(row);
    for (const row of this.checksOn(name)) this.dropCheck(row);
    this.store.commit(['nodes', `node:${name}`], () => this.store.nodes.delete(name));
  }

  servicesOn(node: string): ServiceRow[] {
    return [...this.store.services.values()].filter((row) => row.Node === node);
  }

  servicesNamed(name: string): ServiceRow[] {
    const named = [...this.store.services].filter(([, row]) => row.Service === name);
    return named.sort(byKey).map(([, row]) => row);
  }

  /** All checks in order of node and id, as a table of Consul's is. */
  allChecks(): CheckRow[] {
    return [...this.store.checks].sort(byKey).map(([, row]) => row);
  }

  checksOn(node: string): CheckRow[] {
    return this.allChecks().filter((row) => row.Node === node);
  }

  checksOf({ Node, ID }: Pick<ServiceRow, 'Node' | 'ID'>): CheckRow[] {
    return this.allChecks().filter((row) => row.Node === Node && row.ServiceID === ID);
  }

  /** The checks that decide whether a service may be used: its node's, then its own. */
  healthOf(row: ServiceRow): CheckRow[] {
    const ofNode = this.checksOn(row.Node);
    return [...ofNode.filter(({ ServiceID }) => ServiceID === ''), ...ofNode.filter(({ ServiceID }) => ServiceID === row.ID)];
  }

  private topicsOf({ Node, ServiceName, ServiceID }: New<CheckRow>): string[] {
    const names = ServiceID === '' ? this.servicesOn(Node).map(({ Service }) => Service) : [ServiceName];
    return ['checks', `checks:${Node}`, ...names.map((name) => `service:${name}`)];
  }

  // Shapes of the answers. Their keys and even their order are Consul's: some clients compare text.

  /** `health/service/:name` */
  healthJson(row: ServiceRow): object {
    return { Node: this.store.nodes.get(row.Node), Service: nodeServiceJson(row), Checks: this.healthOf(row).map(checkJson) };
  }

  /** `catalog/service/:name` */
  catalogJson(row: ServiceRow): object {
    const node = this.store.nodes.get(row.Node)!;
    const { ID, Node, Address, Datacenter, TaggedAddresses } = node;
    return {
      ...{ ID, Node, Address, Datacenter, TaggedAddresses, NodeMeta: node.Meta },
      ...{ ServiceKind: '', ServiceID: row.ID, ServiceName: row.Service, ServiceTags: row.Tags, ServiceAddress: row.Address },
      ServiceTaggedAddresses: row.TaggedAddresses,
      ...{ ServiceWeights: row.Weights, ServiceMeta: row.Meta, ServicePort: row.Port },
      ServiceEnableTagOverride: row.EnableTagOverride,
      ...{ ServiceProxy: { MeshGateway: {}, Expose: {} }, ServiceConnect: {} },
      ...{ CreateIndex: row.CreateIndex, ModifyIndex: row.ModifyIndex },
    };
  }
}

/** A service as a node lists it. */
export function nodeServiceJson(row: ServiceRow): object {
  const { ID, Service, Tags, Address, TaggedAddresses, Meta, Port, Weights, EnableTagOverride, CreateIndex, ModifyIndex } = row;
  const named = { ID, Service, Tags, Address, TaggedAddresses, Meta, Port, Weights, EnableTagOverride };
  return { ...named, Proxy: { MeshGateway: {}, Expose: {} }, Connect: {}, CreateIndex, ModifyIndex };
}

/** A service as its agent shows it. */
export function agentServiceJson(row: ServiceRow): object {
  const { ID, Service, Tags, Meta, Port, Address, TaggedAddresses, Weights, EnableTagOverride } = row;
  return { ID, Service, Tags, Meta: Meta ?? {}, Port, Address, TaggedAddresses, Weights, EnableTagOverride };
}

/** A check as catalog and health show it. */
export function checkJson({ Node, CheckID, Name, Status, Notes, Output, ...rest }: CheckRow): object {
  const { ServiceID, ServiceName, ServiceTags, Type, Definition, CreateIndex, ModifyIndex } = rest;
  const service = { ServiceID, ServiceName, ServiceTags, Type, Definition };
  return { Node, CheckID, Name, Status, Notes, Output, ...service, CreateIndex, ModifyIndex };
}

/** Whether a row already says all of `next`. */
function same(row: object | undefined, next: object): boolean {
  if (!row) return false;
  const { CreateIndex: _created, ModifyIndex: _modified, ...fields } = row as Record<string, unknown>;
  const { CreateIndex: _from, ModifyIndex: _to, ...wanted } = next as Record<string, unknown>;
  return isDeepStrictEqual(compact(fields), compact(wanted));
}

// A key without a value is lost when the state is saved, so it must count as no key at all.
const compact = (fields: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
