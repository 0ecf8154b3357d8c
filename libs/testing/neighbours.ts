import type { Registry } from '#client';
import type { Running } from '#service';

/** The processes of one test, which find each other by their names with no registry between them. */
export class Neighbours implements Registry {
  readonly all: Running[] = [];
  private readonly told = new Set<(service: string) => void>();

  add(running: Running): void {
    this.all.push(running);
    for (const tell of this.told) tell(running.name);
  }

  /** The first of that name. @throws Error when there is none */
  named(name: string): Running {
    const found = this.all.find((running) => running.name === name);
    if (!found) throw new Error(`${name} is not among the processes of this test`);
    return found;
  }

  instances = (service: string): ReturnType<Registry['instances']> =>
    this.all.flatMap(({ name, url }, slot) => {
      if (name !== service) return [];
      const { hostname: address, port } = new URL(url);
      return [{ id: `${name}-${slot}`, service, address, port: Number(port), tags: [], meta: {}, passing: true }];
    });

  ready = (): Promise<void> => Promise.resolve();

  onChange = (listener: (service: string) => void): (() => void) => {
    this.told.add(listener);
    return () => this.told.delete(listener);
  };
}
