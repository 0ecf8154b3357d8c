import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileSettings, type Flat } from '#config';
import { silentLog } from '#log';
import { Agent, AgentConfig } from '../agent/agent.js';

/** An agent on a bare server, that can be stopped and started again on the same port. */
export class Registry {
  agent: Agent;
  port = 0;
  private server: Server;

  constructor(
    private readonly file?: string,
    private readonly over: Flat = {},
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    const { over, file } = this;
    const settings = fileSettings({ process: 'discovery', profile: 'test', sections: [AgentConfig], log: silentLog, over });
    this.agent = new Agent({ config: settings.section(AgentConfig), log: silentLog, file, node: 'here' });
    this.server = createServer((req, res) => void (this.agent.handle(req, res) || res.writeHead(404).end()));
    await new Promise<void>((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    await this.agent.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
