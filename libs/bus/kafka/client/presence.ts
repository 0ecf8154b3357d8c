import type { Log } from '#log';
import { Problem } from '#problem';

/** The innermost reason that a client gives: it wraps one into the other. */
function reasonOf(error: unknown): string {
  const { message, cause, errors } = Object(error) as { message?: string; cause?: unknown; errors?: unknown[] };
  const inner = errors?.at(-1) ?? cause;
  return inner === undefined ? (message ?? String(error)) : reasonOf(inner);
}

/** Whether Kafka answers: said once when it ends and once when it begins. While it does not, asking fails without a wait. */
export class Presence {
  private away?: { problem: Problem; untilMs: number; reason: string };
  private readonly backs = new Set<() => void>();

  constructor(
    private readonly log: Log,
    private readonly awayMs: number,
  ) {}

  /** Call `back` whenever it answers again, until the function that is returned is called. */
  onBack(back: () => void): () => void {
    this.backs.add(back);
    return () => void this.backs.delete(back);
  }

  /** @throws Problem `storage-unavailable` (503) when it does not answer; a Problem of `fn`'s own as it is */
  async ask<T>(fn: () => Promise<T>): Promise<T> {
    if (this.away && performance.now() < this.away.untilMs) throw this.away.problem;
    try {
      const answer = await fn();
      this.isBack();
      return answer;
    } catch (error) {
      throw error instanceof Problem ? error : this.isAway(error);
    }
  }

  private isAway(error: unknown): Problem {
    const reason = reasonOf(error);
    if (this.away?.reason !== reason) this.log.warn('Kafka does not answer; events wait where they are', { reason, error });
    const problem = new Problem('storage-unavailable', 503, `Kafka does not answer: ${reason}`, {}, { 'Retry-After': '1' });
    problem.cause = error;
    this.away = { problem, untilMs: performance.now() + this.awayMs, reason };
    return problem;
  }

  private isBack() {
    if (!this.away) return;
    this.away = undefined;
    this.log.info('Kafka answers again');
    for (const back of this.backs) back();
  }
}
