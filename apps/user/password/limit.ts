import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import { Problem } from '#problem';

/** Take one of the tries that `key` has. @throws Problem `too-many-requests` (429) when none is left */
export async function takeTry(limiter: RateLimiterAbstract, key: string, detail: string): Promise<void> {
  await limiter.consume(key).catch((refusal: unknown) => {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    const seconds = Math.max(1, Math.ceil(refusal.msBeforeNext / 1000));
    throw new Problem('too-many-requests', 429, detail, {}, { 'Retry-After': String(seconds) });
  });
}
