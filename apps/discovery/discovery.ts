import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { environment } from '#config';
import { Log } from '#log';
import { serve, service } from '#service';
import { Agent, AgentConfig } from './agent/agent.js';

/** The registry of a mesh that was given no Consul: the development agent, on the port and with the API of a real one. */
export const DiscoveryAgent = service({
  name: 'discovery',
  port: 8500,
  // The configuration server registers here, so this one must not wait for that one.
  settings: 'files',
  sections: [AgentConfig],
  providers: [
    {
      provide: Agent,
      inject: [AgentConfig, Log],
      useFactory: (config: AgentConfig, log: Log) =>
        new Agent({ config, log: log.child('agent'), file: join(environment().dataDir, 'discovery', 'state.json') }),
    },
  ],
  listener: (app: INestApplication) => {
    const agent = app.get(Agent);
    return (req, res) => agent.handle(req, res);
  },
  stopping: (app: INestApplication) => app.get(Agent).stop(),
});

await serve(import.meta, DiscoveryAgent);
