import type { Discovery } from '#discovery';

/** The part of discovery that routing needs. */
export type Catalog = Pick<Discovery, 'catalog' | 'instances'>;

/** A public path and who answers it. */
export interface Route {
  prefix: string;
  service: string;
  /** The services that answer it together. */
  sides: readonly string[];
}

interface Sides {
  read: string;
  write: string;
  all: readonly string[];
  /** When discovery stopped to tell of it, ms of the clock. */
  goneAtMs?: number;
}

const TAG = 'mesh-route=';
/** Never answered at the public door, whatever a service declares. */
const INTERNAL = /^\/(?:metrics|health|hystrix\.stream|turbine\.stream|v1|eureka|encrypt|decrypt)(?:\/|$)/;
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** The public paths that a service's tags declare. */
export const prefixesOf = (tags: readonly string[]): string[] =>
  tags
    .filter((tag) => tag.startsWith(`${TAG}/`))
    .map((tag) => tag.slice(TAG.length).replace(/\/+$/, '') || '/')
    .filter((prefix) => !INTERNAL.test(prefix));

/** Who reads and who writes where `service` declares a path: each side knows the other's name, since both are one resource's. */
function sidesOf(service: string): Sides {
  const [, resource] = /^(.+)-(?:query|command)$/.exec(service) ?? [];
  if (resource === undefined) return { read: service, write: service, all: [service] };
  const [read, write] = [`${resource}-query`, `${resource}-command`];
  return { read, write, all: [read, write] };
}

/**
 * The public paths as discovery tells them: GET and HEAD to the query side, the rest to the command side, the longest path first.
 * A path is remembered for a while after its last service left, since "nobody is there now" is not "there is no such thing".
 */
export class Routes {
  private seen?: ReadonlyMap<string, readonly string[]>;
  private readonly byPrefix = new Map<string, Sides>();

  /** @param keepMs  how long a path is remembered */
  constructor(
    private readonly discovery: Catalog,
    private readonly keepMs: () => number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Nothing was heard from discovery yet, so a path that is not known may well exist. */
  get isEmpty(): boolean {
    this.follow();
    return this.byPrefix.size === 0;
  }

  /** Who answers `method` there, if anybody ever did. @param path  without its query, starting with a slash */
  find(method: string, path: string): Route | undefined {
    if (INTERNAL.test(path)) return undefined;
    this.follow();
    for (let end = path.length; end >= 0; end = path.lastIndexOf('/', end - 1)) {
      const prefix = path.slice(0, end) || '/';
      const sides = this.byPrefix.get(prefix);
      if (sides && this.isForgotten(sides)) return undefined;
      if (sides) return { prefix, service: READS.has(method) ? sides.read : sides.write, sides: sides.all };
      if (end === 0) break;
    }
    return undefined;
  }

  private follow() {
    const catalog = this.discovery.catalog();
    if (catalog === this.seen) return;
    this.seen = catalog;
    const nowMs = this.now();
    for (const sides of this.byPrefix.values()) sides.goneAtMs ??= nowMs;
    for (const [service, tags] of catalog) {
      for (const prefix of prefixesOf(tags)) {
        const sides = sidesOf(service);
        this.byPrefix.set(prefix, sides);
        // So that the first request finds its instances known.
        for (const side of sides.all) this.discovery.instances(side);
      }
    }
  }

  private isForgotten({ goneAtMs = Infinity }: Sides): boolean {
    return this.now() - goneAtMs > this.keepMs();
  }
}
