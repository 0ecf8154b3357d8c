import type { Speak } from './speak.js';

const REFUSED: [string, string, unknown, number, RegExp][] = [
  ['PUT', '/v1/agent/service/register', '{broken', 400, /^Request decode failed: .+/],
  ['PUT', '/v1/agent/service/register', '', 400, /^Request decode failed: EOF$/],
  ['PUT', '/v1/agent/service/register', {}, 400, /^Missing service name$/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Bogus: 1 }, 400, /unknown field "Bogus"/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Port: 'abc' }, 400, /cannot unmarshal string into Go struct field \.Port/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Meta: { 'a b': 'c' } }, 400, /'a b'.*Key contains invalid characters/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Check: { HTTP: 'http://127.0.0.1:1' } }, 400, /Interval must be > 0/],
  ['PUT', '/v1/agent/service/register', { Name: 'x', Check: { TTL: 'soon' } }, 400, /invalid duration "soon"/],
  ['PUT', '/v1/agent/check/register', { TTL: '1s' }, 400, /^Missing check name$/],
  ['PUT', '/v1/agent/check/register', { Name: 'x', TTL: '1s', ServiceID: 'nobody' }, 500, /"nobody" does not exist/],
  ['PUT', '/v1/agent/check/pass/nobody', undefined, 500, /"nobody" does not have associated TTL/],
  ['GET', '/v1/agent/service/nobody', undefined, 404, /^unknown service ID: nobody$/],
  ['PUT', '/v1/agent/service/maintenance/nobody?enable=true', undefined, 404, /"nobody"/],
  ['GET', '/v1/agent/service/register', undefined, 405, /^method GET not allowed$/],
  ['DELETE', '/v1/agent/services', undefined, 405, /^method DELETE not allowed$/],
  ['GET', '/v1/nothing', undefined, 404, /^$/],
  ['GET', '/v1/health/service/', undefined, 400, /^Missing service name$/],
  ['GET', '/v1/health/service/x?index=soon', undefined, 400, /^Invalid index$/],
  ['GET', '/v1/health/service/x?index=1&wait=soon', undefined, 400, /^Invalid wait time$/],
  ['GET', '/v1/health/service/x?stale&consistent', undefined, 400, /conflicting semantics/],
  ['GET', '/v1/health/service/x?dc=nowhere', undefined, 500, /^No path to datacenter$/],
  ['GET', '/v1/health/service/x?filter=Bogus.x%20==%20y', undefined, 500, /Selector "Bogus" is not valid/],
  ['PUT', '/v1/kv/', 'x', 400, /^Missing key name$/],
  ['PUT', '/v1/kv/a?cas=1&acquire=2', 'x', 400, /^Conflicting flags/],
  ['PUT', '/v1/kv/a?acquire=00000000-0000-0000-0000-000000000000', 'x', 500, /^invalid session/],
  ['PUT', '/v1/kv/a', 'x'.repeat(600_000), 413, /too large, max size: 524288 bytes/],
  ['PUT', '/v1/session/create', { TTL: '1s' }, 500, /^Invalid Session TTL/],
  ['PUT', '/v1/catalog/register', {}, 500, /^Must provide node$/],
];

/** What is refused, and in which words. */
export function refusals(ask: Speak) {
  it.each(REFUSED)('%s %s %j is %d', async (method, path, body, status, text) => {
    const said = await ask(method, path, body);
    expect([said.status, said.text.trim()]).toEqual([status, expect.stringMatching(text)]);
  });

  it('says which methods there are', async () => {
    expect((await ask('POST', '/v1/kv/a', 'x')).headers.allow).toBe('OPTIONS,GET,PUT,DELETE');
  });
}
