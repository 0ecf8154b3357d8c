import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { runWithout } from '#context';
import { Log } from '#log';
import { Keys } from './keys/keys.js';
import { OAuthConfig } from './oauth-section.js';
import { Records } from './store/records.js';
import { Revocations } from './store/revocations.js';
import { Throttle } from './store/throttle.js';

/** Removes what is over, now and then. Every instance does; the later one finds nothing. */
@Injectable()
export class Upkeep implements OnModuleInit, OnModuleDestroy {
  private timer?: NodeJS.Timeout;

  constructor(
    @Inject(Records) private readonly records: Records,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Throttle) private readonly throttle: Throttle,
    @Inject(Keys) private readonly keys: Keys,
    @Inject(OAuthConfig) private readonly config: OAuthConfig,
    @Inject(Log) private readonly log: Log,
  ) {}

  onModuleInit() {
    this.timer = runWithout(() => setInterval(() => void this.clear(), this.config.clearMs));
  }

  onModuleDestroy() {
    clearInterval(this.timer);
  }

  private async clear() {
    try {
      for (const kept of [this.records, this.revocations, this.throttle, this.keys]) await kept.clear();
    } catch (error) {
      this.log.warn('what is over stays for now', { error });
    }
  }
}
