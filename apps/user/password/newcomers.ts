import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { UserConfig } from '../user-section.js';
import { takeTry } from './limit.js';

/** Lets one address register only so many accounts: each costs a hash, and perhaps a letter to somebody else. */
@Injectable()
export class Newcomers {
  private readonly limiter: RateLimiterMemory;

  constructor(@Inject(UserConfig) config: UserConfig) {
    // In each instance its own: with several, a few more.
    this.limiter = new RateLimiterMemory({ points: config.registrations, duration: config.registrationSeconds });
  }

  /**
   * @param forwarded  the address that the gateway saw; whoever calls inside of the mesh has counted by itself
   * @throws Problem `too-many-requests` (429)
   */
  async admit(forwarded: string | undefined): Promise<void> {
    const address = forwarded?.split(',').at(-1)?.trim();
    if (address) await takeTry(this.limiter, address, 'too many accounts were made from this address: wait a while');
  }
}
