import { setTimeout as sleep } from 'node:timers/promises';
import { runWithout } from '#context';
import type { AuthConfig } from './auth-section.js';
import { unavailable } from './keys.js';

/** What the issuer tells of tokens that ended before their time. */
export interface Revoked {
  /** The place to go on from. */
  last: number;
  /** `sid:…`, `gid:…`, `jti:…`. */
  ids: string[];
}

/** Knows which tokens ended before their time. */
export interface Revocations {
  /** Whether one of these ids is revoked. @throws Problem `issuer-unavailable` (503) before the first news of the issuer */
  has(ids: readonly string[]): Promise<boolean>;
}

/**
 * Follows the issuer's revocations from the first question on. What was revoked before is told first, so a verifier that has just
 * started accepts nothing that another one refuses; while the issuer is away, what is known goes on to count.
 */
export class RevocationFeed implements Revocations {
  private readonly until = new Map<string, number>();
  private readonly stopping = new AbortController();
  private readonly heard = Promise.withResolvers<void>();
  private hasHeard = false;
  private following?: Promise<void>;

  /**
   * @param ask  the revocations after a place, held back until there are some, at most so many seconds
   * @param now  a clock that never runs backwards, ms
   */
  constructor(
    private readonly ask: (after: number, waitSeconds: number) => Promise<Revoked>,
    private readonly config: AuthConfig,
    private readonly now: () => number = () => performance.now(),
  ) {}

  async has(ids: readonly string[]): Promise<boolean> {
    this.following ??= runWithout(() => this.follow());
    if (!this.hasHeard) await this.firstWord();
    return ids.some((id) => this.until.has(id));
  }

  /** Stop asking. */
  close(): void {
    this.stopping.abort();
  }

  private async firstWord(): Promise<void> {
    const late = new AbortController();
    const patience = sleep(this.config.firstWordMs, 'late', { signal: late.signal }).catch(() => undefined);
    const outcome = await Promise.race([this.heard.promise, patience]);
    late.abort();
    if (outcome === 'late') throw unavailable();
  }

  private async follow(): Promise<void> {
    const { signal } = this.stopping;
    for (let after = 0; !signal.aborted;) {
      try {
        const { last, ids } = await this.ask(after, this.hasHeard ? this.config.feedWaitSeconds : 0);
        this.remember(ids);
        after = last;
        this.hasHeard = true;
        this.heard.resolve();
      } catch {
        await sleep(this.config.retryMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  private remember(ids: readonly string[]) {
    const nowMs = this.now();
    // In the order they came, so the oldest are in front.
    for (const [id, untilMs] of this.until) {
      if (untilMs > nowMs) break;
      this.until.delete(id);
    }
    for (const id of ids) this.until.set(id, nowMs + this.config.rememberSeconds * 1000);
  }
}
