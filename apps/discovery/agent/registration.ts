import { isIPv4, isIPv6 } from 'node:net';
import type { Catalog } from './catalog.js';
import { type Ask, decode, type Decoder, duration, flag, integer, list, mapOf, record, Refusal, text } from './input.js';
import { at, type CheckRow, type CheckSpec, type ServiceRow, type Status } from './store.js';

const anything: Decoder<unknown> = (value) => value;

const checkFields = {
  ...{ ID: text, CheckID: text, Name: text, Notes: text, Status: text, ServiceID: text },
  ...{ HTTP: text, Method: text, Header: mapOf(list(text)), Body: text, TLSSkipVerify: flag, TCP: text },
  ...{ TTL: duration, Interval: duration, Timeout: duration, DeregisterCriticalServiceAfter: duration },
  ...{ SuccessBeforePassing: integer, FailuresBeforeWarning: integer, FailuresBeforeCritical: integer, OutputMaxSize: integer },
  // Known to Consul, not run here; refused by name when they are used.
  ...{ Args: anything, Script: anything, DockerContainerID: anything, Shell: anything, GRPC: anything, GRPCUseTLS: anything },
  ...{ H2PING: anything, UDP: anything, AliasNode: anything, AliasService: anything, Namespace: anything },
};
const checkShape = record(checkFields);
type CheckInput = ReturnType<typeof checkShape>;

const weights = record({ Passing: integer, Warning: integer });
const tagged = mapOf(record({ Address: text, Port: integer }));

const serviceShape = record({
  ...{ ID: text, Name: text, Tags: list(text), Address: text, Port: integer, Meta: mapOf(text), EnableTagOverride: flag },
  ...{ Weights: weights, TaggedAddresses: tagged, Check: checkShape, Checks: list(checkShape, '[]CheckType') },
  ...{ Kind: anything, Proxy: anything, Connect: anything, Namespace: anything, Token: anything },
});

const NOT_RUN = ['Args', 'Script', 'DockerContainerID', 'GRPC', 'H2PING', 'UDP', 'AliasNode', 'AliasService'] as const;
const STATUSES = ['passing', 'warning', 'critical'];

/** What kind of check it is and how to look after it. @throws Refusal 400 when it cannot be one */
function specOf(input: CheckInput): { spec: CheckSpec; type: string } {
  const foreign = NOT_RUN.find((name) => input[name]);
  if (foreign)
    throw new Refusal(400, `Invalid check: ${foreign} checks are not run by the development agent; use HTTP, TCP or TTL`);
  const { HTTP, TCP, TTL = 0, Interval = 0, Timeout, Method, Header, Body, TLSSkipVerify } = input;
  const asks = Boolean(HTTP ?? TCP);
  if (asks && TTL > 0) throw new Refusal(400, 'Invalid check: Interval and TTL cannot both be specified');
  if (asks && Interval <= 0) throw new Refusal(400, 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks');
  if (!asks && TTL <= 0) throw new Refusal(400, 'Invalid check: TTL must be > 0 for TTL checks');
  const spec: CheckSpec = asks ? { intervalMs: Interval, timeoutMs: Timeout } : { ttlMs: TTL };
  if (HTTP)
    Object.assign(spec, { http: HTTP, method: Method || undefined, headers: Header, body: Body, tlsSkipVerify: TLSSkipVerify });
  else if (TCP) spec.tcp = TCP;
  spec.deregisterAfterMs = input.DeregisterCriticalServiceAfter;
  spec.successBeforePassing = input.SuccessBeforePassing;
  spec.failuresBeforeCritical = input.FailuresBeforeCritical;
  checkTarget(spec);
  return { spec, type: HTTP ? 'http' : TCP ? 'tcp' : 'ttl' };
}

function checkTarget({ http, tcp }: CheckSpec) {
  const url = http ?? (tcp === undefined ? undefined : `tcp://${tcp}`);
  if (url !== undefined && !(URL.canParse(url) && /^(https?|tcp):$/.test(new URL(url).protocol))) {
    throw new Refusal(400, `Invalid check: ${http ?? tcp} is no address that can be asked`);
  }
}

function statusOf({ Status }: CheckInput, refusal: string): Status {
  if (!Status) return 'critical';
  if (!STATUSES.includes(Status)) throw new Refusal(400, refusal);
  return Status as Status;
}

const isUsed = (check: CheckInput | undefined): check is CheckInput => check !== undefined && Object.keys(check).length > 0;

/** `PUT /v1/agent/service/register` */
export function registerService(catalog: Catalog, ask: Ask): void {
  const input = decode(ask.body, serviceShape);
  if (!input.Name) throw new Refusal(400, 'Missing service name');
  const row = rowOf(catalog, { ...input, Name: input.Name });
  const given = [input.Check, ...(input.Checks ?? [])].filter(isUsed);
  const checks = given.map((check, i) => {
    const { spec, type } = specOf(check);
    const Status = statusOf(check, "Status for checks must 'passing', 'warning', 'critical'");
    const fallback = given.length > 1 ? `service:${row.ID}:${i + 1}` : `service:${row.ID}`;
    const names = { CheckID: check.CheckID || check.ID || fallback, Name: check.Name || `Service '${row.Service}' check` };
    return { ...names, Status, Notes: check.Notes ?? '', Type: type, spec };
  });
  catalog.putService(row);
  if (ask.isOn('replace-existing-checks')) {
    const kept = new Set(checks.map(({ CheckID }) => CheckID));
    for (const old of catalog.checksOf(row)) if (!kept.has(old.CheckID)) catalog.dropCheck(old);
  }
  for (const check of checks) putOwn(catalog, { ...check, ServiceID: row.ID, ServiceName: row.Service, ServiceTags: row.Tags });
}

// A check that is there already keeps what it found: a registration made again says nothing about health.
function putOwn(catalog: Catalog, check: Partial<CheckRow> & { CheckID: string }) {
  const before = catalog.store.checks.get(at(catalog.self.node, check.CheckID));
  const found = before ? { Status: before.Status, Output: before.Output } : {};
  catalog.putCheck({ ...catalog.nodeCheck(check.CheckID), ...check, ...found });
}

type ServiceInput = ReturnType<typeof serviceShape> & { Name: string };

function rowOf(catalog: Catalog, input: ServiceInput): Omit<ServiceRow, 'CreateIndex' | 'ModifyIndex'> {
  const { Name, ID = Name, Address = '', Port = 0, Meta = null, Weights } = input;
  if (input.Kind || input.Proxy || input.Connect)
    throw new Refusal(400, 'Invalid service: the development agent has no Connect proxies');
  if (['0.0.0.0', '::', '[::]'].includes(Address)) throw new Refusal(400, 'Invalid service address');
  checkMeta(Meta ?? {});
  const { Passing = 0, Warning = 0 } = Weights ?? { Passing: 1, Warning: 1 };
  if (Passing < 1) throw new Refusal(400, 'Invalid Weights: Passing must be greater than 0');
  const rest = { Meta, Weights: { Passing, Warning }, EnableTagOverride: input.EnableTagOverride ?? false };
  const TaggedAddresses = addressesOf(Address, Port, input.TaggedAddresses);
  return {
    ...catalog.service(ID || Name, Name),
    Tags: input.Tags ?? [],
    Address,
    Port,
    ...rest,
    ...(TaggedAddresses && { TaggedAddresses }),
  };
}

function addressesOf(Address: string, Port: number, given: ReturnType<typeof tagged> = {}): ServiceRow['TaggedAddresses'] {
  const family = isIPv4(Address) ? 'ipv4' : isIPv6(Address) ? 'ipv6' : undefined;
  const own = family ? { [`lan_${family}`]: { Address, Port }, [`wan_${family}`]: { Address, Port } } : {};
  const named = Object.entries(given).map(([name, one]) => [name, { Address: one.Address ?? '', Port: one.Port ?? 0 }] as const);
  const all = { ...own, ...Object.fromEntries(named) };
  return Object.keys(all).length > 0 ? all : undefined;
}

const META_PAIRS = 64;
const META_KEY = 128;
const META_VALUE = 512;

function checkMeta(meta: Record<string, string>) {
  const pairs = Object.entries(meta);
  if (pairs.length > META_PAIRS) {
    throw new Refusal(400, `Invalid Service Meta: Node metadata cannot contain more than ${META_PAIRS} key/value pairs`);
  }
  for (const [key, value] of pairs) {
    const why = metaFault(key, value);
    if (why) throw new Refusal(400, `Invalid Service Meta: Couldn't load metadata pair ('${key}', '${value}'): ${why}`);
  }
}

function metaFault(key: string, value: string): string | undefined {
  if (key === '') return 'Key cannot be blank';
  if (!/^[A-Za-z0-9_-]+$/.test(key)) return 'Key contains invalid characters';
  if (key.length > META_KEY) return `Key is too long (limit: ${META_KEY} characters)`;
  if (key.startsWith('consul-')) return "Key prefix 'consul-' is reserved for internal use";
  return value.length > META_VALUE ? `Value is too long (limit: ${META_VALUE} characters)` : undefined;
}

/** `PUT /v1/agent/check/register` */
export function registerCheck(catalog: Catalog, ask: Ask): void {
  const input = decode(ask.body, checkShape);
  const { Name, ServiceID = '', Notes = '' } = input;
  if (!Name) throw new Refusal(400, 'Missing check name');
  const Status = statusOf(input, 'Bad check status');
  const { spec, type } = specOf(input);
  const service = ServiceID ? catalog.store.services.get(at(catalog.self.node, ServiceID)) : undefined;
  if (ServiceID && !service?.local) throw new Refusal(500, `ServiceID "${ServiceID}" does not exist`);
  const of = { ServiceID, ServiceName: service?.Service ?? '', ServiceTags: service?.Tags ?? [] };
  putOwn(catalog, { CheckID: input.ID || input.CheckID || Name, Name, Notes, Status, Type: type, spec, ...of });
}

const catalogService = record({
  ...{ ID: text, Service: text, Tags: list(text), Address: text, Port: integer, Meta: mapOf(text), EnableTagOverride: flag },
  ...{ Weights: weights, TaggedAddresses: tagged, Kind: anything, Proxy: anything, Connect: anything, Namespace: anything },
});
const catalogCheck = record({
  ...{ Node: text, CheckID: text, Name: text, Status: text, Notes: text, Output: text, ServiceID: text, Type: text },
  ...{ Definition: mapOf(anything), ServiceName: text, ServiceTags: list(text), Namespace: anything },
});
const catalogEntry = record({
  ...{ ID: text, Node: text, Address: text, Datacenter: text, TaggedAddresses: mapOf(text), NodeMeta: mapOf(text) },
  ...{ Service: catalogService, Check: catalogCheck, Checks: list(catalogCheck, '[]HealthCheck'), SkipNodeUpdate: flag },
});

/** `PUT /v1/catalog/register`: a node that no agent looks after, a service and checks on it. */
export function registerInCatalog(catalog: Catalog, ask: Ask): void {
  const { Node, Address, Service, ...entry } = decode(ask.body, catalogEntry);
  const { nodes, services } = catalog.store;
  if (!Node) throw new Refusal(500, 'Must provide node');
  if (!entry.SkipNodeUpdate) {
    if (!Address) throw new Refusal(500, 'Must provide address if SkipNodeUpdate is not set');
    const { ID = '', TaggedAddresses = null, NodeMeta = null } = entry;
    const isSelf = Node === catalog.self.node;
    if (!isSelf) catalog.putNode({ ID, Node, Address, Datacenter: catalog.self.datacenter, TaggedAddresses, Meta: NodeMeta });
  } else if (!nodes.has(Node)) throw new Refusal(500, `Node lookup for ${Node} failed: no such node`);
  if (Service) {
    if (!Service.Service) throw new Refusal(500, 'Must provide service name with ID');
    const row = rowOf(catalog, { ...Service, Name: Service.Service });
    const { TaggedAddresses, ...plain } = row;
    const addresses = Service.TaggedAddresses ? { TaggedAddresses } : {};
    catalog.putService({ ...plain, ...addresses, Node, local: false });
  }
  for (const check of [entry.Check, ...(entry.Checks ?? [])]) {
    if (!check || Object.keys(check).length === 0) continue;
    const { ServiceID = '', Name = '', CheckID = Name, Notes = '', Output = '', Type = '', Definition = {} } = check;
    const service = services.get(at(Node, ServiceID));
    if (ServiceID && !service) throw new Refusal(500, `Missing service registration`);
    const of = { ServiceID, ServiceName: service?.Service ?? '', ServiceTags: service?.Tags ?? [] };
    const Status = statusOf(check, 'Bad check status');
    catalog.putCheck({ Node, local: false, CheckID, Name, Status, Notes, Output, Type, Definition, ...of });
  }
}

/** `PUT /v1/catalog/deregister`: a check, a service with its checks, or a whole node. */
export function deregisterFromCatalog(catalog: Catalog, ask: Ask): void {
  const shape = record({ Node: text, ServiceID: text, CheckID: text, Datacenter: text, Address: text, Namespace: anything });
  const { Node, ServiceID, CheckID } = decode(ask.body, shape);
  if (!Node) throw new Refusal(500, 'Must provide node');
  if (ServiceID) {
    const row = catalog.store.services.get(at(Node, ServiceID));
    if (row) catalog.dropService(row);
  } else if (CheckID) {
    const row = catalog.store.checks.get(at(Node, CheckID));
    if (row) catalog.dropCheck(row);
  } else catalog.dropNode(Node);
}
