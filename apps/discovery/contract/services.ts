import type { Row, Speak } from './speak.js';

/** What is registered is found. */
export function services(ask: Speak, name: string) {
  const id = `${name}-1`;
  const body = {
    ID: id,
    Name: name,
    Address: '127.0.0.1',
    Port: 8123,
    Tags: ['blue', 'mesh-route=/api/x'],
    Meta: { zone: 'z1' },
  };
  const found = async (query = '') => (await ask('GET', `/v1/health/service/${name}${query}`)).json<Row[]>();

  beforeAll(() => ask('PUT', '/v1/agent/service/register', body));
  afterAll(() => ask('PUT', `/v1/agent/service/deregister/${id}`));

  it('shows a registered service in the agent, the catalog and the health', async () => {
    const mine = (await ask('GET', '/v1/agent/services')).json<Record<string, object>>();
    expect(mine[id]).toMatchObject({ ID: id, Service: name, Tags: body.Tags, Meta: body.Meta, Port: 8123, Address: '127.0.0.1' });
    const tags = (await ask('GET', '/v1/catalog/services')).json<Record<string, string[]>>()[name];
    expect(tags?.sort()).toEqual(['blue', 'mesh-route=/api/x']);
    const [row] = await found();
    expect(row).toMatchObject({ Service: { ID: id, Service: name, Port: 8123, Meta: { zone: 'z1' } } });
    expect(row?.Checks[0]).toMatchObject({ CheckID: 'serfHealth', Status: 'passing' });
    const [listed] = (await ask('GET', `/v1/catalog/service/${name}`)).json<Record<string, unknown>[]>();
    expect(listed).toMatchObject({ ServiceID: id, ServiceName: name, ServicePort: 8123, ServiceMeta: { zone: 'z1' } });
  });

  it('finds by tag, by a filter on equality, and by whether it passes', async () => {
    expect(await found('?tag=blue')).toHaveLength(1);
    expect(await found('?tag=blue&tag=red')).toHaveLength(0);
    expect(await found(`?filter=${encodeURIComponent('Service.Meta.zone == "z1"')}`)).toHaveLength(1);
    expect(await found(`?filter=${encodeURIComponent('Service.Meta.zone == "z2"')}`)).toHaveLength(0);
    expect(await found(`?filter=${encodeURIComponent('not Service.Meta.zone == "z2" and Service.Port == 8123')}`)).toHaveLength(
      1,
    );
    expect(await found('?passing')).toHaveLength(1);
  });

  it('is not passing while in maintenance, and says why', async () => {
    expect((await ask('PUT', `/v1/agent/service/maintenance/${id}?enable=true&reason=paint`)).status).toBe(200);
    expect(await found('?passing')).toHaveLength(0);
    const [row] = await found();
    expect(row?.Checks).toContainEqual(
      expect.objectContaining({ Name: 'Service Maintenance Mode', Status: 'critical', Notes: 'paint' }),
    );
    await ask('PUT', `/v1/agent/service/maintenance/${id}?enable=false`);
    expect(await found('?passing')).toHaveLength(1);
  });

  it('replaces a service that registers again under the same id', async () => {
    await ask('PUT', '/v1/agent/service/register', { ...body, Port: 8124, Tags: ['green'] });
    const rows = await found();
    expect(rows.map(({ Service }) => [Service.Port, Service.Tags])).toEqual([[8124, ['green']]]);
    await ask('PUT', '/v1/agent/service/register', body);
  });

  it('forgets a service that deregisters', async () => {
    const other = `${name}-other`;
    await ask('PUT', '/v1/agent/service/register', { Name: other, Check: { TTL: '1m' } });
    expect((await ask('GET', `/v1/agent/service/${other}`)).status).toBe(200);
    expect((await ask('PUT', `/v1/agent/service/deregister/${other}`)).status).toBe(200);
    expect((await ask('GET', `/v1/agent/service/${other}`)).status).toBe(404);
    expect((await ask('GET', `/v1/health/service/${other}`)).json()).toEqual([]);
    expect((await ask('GET', '/v1/agent/checks')).json()).not.toHaveProperty([`service:${other}`]);
  });
}

/** What no agent looks after, and who the registry is. */
export function foreign(ask: Speak, node: string) {
  it('keeps a service that was put into the catalog, with the health that was given', async () => {
    const Check = { Node: node, CheckID: 'alive', Name: 'alive', Status: 'passing', ServiceID: 'db' };
    const Service = { ID: 'db', Service: `${node}-db`, Port: 5432, Tags: ['t'] };
    expect((await ask('PUT', '/v1/catalog/register', { Node: node, Address: '10.0.0.9', Service, Check })).json()).toBe(true);
    const [row] = (await ask('GET', `/v1/health/service/${node}-db?passing`)).json<Row[]>();
    expect(row).toMatchObject({ Node: { Node: node, Address: '10.0.0.9' }, Service: { ID: 'db', Port: 5432, Address: '' } });
    expect((await ask('GET', `/v1/catalog/node/${node}`)).json()).toMatchObject({ Services: { db: { Port: 5432 } } });
    expect((await ask('GET', '/v1/catalog/nodes')).json<{ Node: string }[]>().map(({ Node }) => Node)).toContain(node);
    await ask('PUT', '/v1/catalog/deregister', { Node: node });
    expect((await ask('GET', `/v1/health/service/${node}-db`)).json()).toEqual([]);
    expect((await ask('GET', `/v1/catalog/node/${node}`)).json()).toBeNull();
  });

  it('says who it is and who leads', async () => {
    const self = (await ask('GET', '/v1/agent/self')).json<{
      Config: { NodeName: string; Datacenter: string };
      Member: { Name: string };
    }>();
    expect(self.Member.Name).toBe(self.Config.NodeName);
    expect((await ask('GET', '/v1/catalog/datacenters')).json()).toEqual([self.Config.Datacenter]);
    const leader = (await ask('GET', '/v1/status/leader')).json<string>();
    expect(leader).toMatch(/^127\.0\.0\.1:\d+$/);
    expect((await ask('GET', '/v1/status/peers')).json()).toEqual([leader]);
    expect((await ask('GET', '/v1/health/service/consul?passing')).json()).toHaveLength(1);
  });
}
