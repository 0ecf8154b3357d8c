import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { lagLines, lags } from './lag.js';
import type { InstanceView } from './observe.js';

const METRICS = (behind: number) => `# TYPE bus_lag_events gauge
bus_lag_events{group="movie-query",topic="movie",service_name="movie-query"} ${behind}
bus_lag_events{group="movie-query",topic="user",service_name="movie-query"} 0
# TYPE bus_parked_events gauge
bus_parked_events{group="movie-query",topic="movie",service_name="movie-query"} 3
bus_parked_events{group="movie-query",topic="user",service_name="movie-query"} 0
bus_handled_events_total{event="movie.created"} 9
`;

it('tells from the metrics of all instances how far each consumer is behind', async () => {
  const answers = [METRICS(20), METRICS(12_000)];
  const server = createServer((_, res) => res.end(answers.pop())).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const instance = (state: InstanceView['state']): InstanceView => ({
    ...{ process: 'movie-query', slot: 0, state, waitingFor: [], url, registry: 'passing', restarts: 0 },
  });
  const found = await lags([instance('ready'), instance('degraded'), instance('stopped')]);
  server.close();
  expect(found).toEqual([
    { process: 'movie-query', group: 'movie-query', topic: 'movie', behind: 12_000, parked: 3 },
    { process: 'movie-query', group: 'movie-query', topic: 'user', behind: 0, parked: 0 },
  ]);
  expect(lagLines(found)).toEqual([
    'movie-query: 12000 events of movie behind, 3 events of movie parked (npx mesh events parked)',
  ]);
});
