import { ControlServer, askLauncher, takeOver, type Controlled } from './control.js';
import { ask, askJson } from './http.js';

/** A launcher's fleet seen from its door. */
class Recorder implements Controlled {
  readonly events: string[] = [];
  private readonly back = Promise.withResolvers<void>();
  readonly returned = this.back.promise;
  standings = () => [{ name: 'gateway', slot: 0, state: 'ready' as const, waitingFor: [], sinceMs: 0, restarts: 0 }];
  scale = (name: string, count: number) => Promise.resolve(void this.events.push(`scale ${name} ${count}`));
  give = (name: string) =>
    name === 'seat'
      ? Promise.reject(new Error("there is no process 'seat'"))
      : Promise.resolve(void this.events.push(`give ${name}`));
  takeBack = (name: string) => {
    this.events.push(`back ${name}`);
    this.back.resolve();
  };
  adopt = () => Promise.resolve(['seat-query']);
}

describe("the launcher's door", () => {
  const launcher = new Recorder();
  let server: ControlServer;
  beforeAll(async () => (server = await ControlServer.open(launcher)));
  afterAll(() => server.close());

  it('opens to the holder of the token alone', async () => {
    expect((await ask(`${server.address.url}/processes`)).status).toBe(401);
    expect((await ask(`${server.address.url}/processes`, { token: 'guess' })).status).toBe(401);
    expect((await askLauncher(server.address)).processes).toHaveLength(1);
  });

  it('passes on what is asked', async () => {
    const { url, token } = server.address;
    await askJson(`${url}/scale`, { method: 'POST', token, body: { name: 'movie-query', count: 2 } });
    expect(launcher.events).toContain('scale movie-query 2');
    expect(await askJson(`${url}/adopt`, { method: 'POST', token })).toEqual({ processes: ['seat-query'] });
  });

  it('says in a sentence what cannot be done', async () => {
    await expect(takeOver(server.address, 'seat')).rejects.toThrow("there is no process 'seat'");
    expect((await ask(`${server.address.url}/nothing`, { token: server.address.token })).status).toBe(404);
  });

  it('gives a process back when its taker lets go', async () => {
    const { end } = await takeOver(server.address, 'movie-command');
    expect(launcher.events).toContain('give movie-command');
    expect(launcher.events).not.toContain('back movie-command');
    end();
    await launcher.returned;
    expect(launcher.events).toContain('back movie-command');
  });
});
