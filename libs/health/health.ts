import { Controller, Get, Inject } from '@nestjs/common';
import { HealthCheck, HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import { Public } from '#auth';
import { Problem } from '#problem';

/** Something a process cannot work without. `check` throws, saying what is missing, while it is. */
export interface Need {
  name: string;
  check: () => Promise<void> | void;
}

/** What a process needs to be ready, and what of it is missing now. */
export class Needs {
  private readonly needs: Need[] = [];

  need(name: string, check: Need['check']): void {
    this.needs.push({ name, check });
  }

  all(): readonly Need[] {
    return this.needs;
  }

  /** One sentence for each need that is not met; empty when the process is ready. */
  async missing(): Promise<string[]> {
    const answers = await Promise.all(this.needs.map(async ({ name, check }) => missingWhy(name, check)));
    return answers.filter((why) => why !== undefined);
  }
}

async function missingWhy(name: string, check: Need['check']): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    return message.startsWith(name) ? message : `${name}: ${message}`;
  }
}

/** `/health/live`: the process runs. `/health/ready`: it can do its work, or 503 naming what it waits for. */
@Controller('health')
@Public()
export class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(HealthIndicatorService) private readonly indicator: HealthIndicatorService,
    @Inject(Needs) private readonly needs: Needs,
  ) {}

  @Get('live')
  @HealthCheck()
  live() {
    return this.health.check([]);
  }

  /** @throws Problem `not-ready` (503) with `waitingFor` */
  @Get('ready')
  async ready() {
    const missing: string[] = [];
    const indicators = this.needs.all().map(({ name, check }) => async () => {
      const session = this.indicator.check(name);
      const why = await missingWhy(name, check);
      if (why === undefined) return session.up();
      missing.push(why);
      return session.down(why);
    });
    try {
      return await this.health.check(indicators);
    } catch (error) {
      if (missing.length === 0) throw error;
      throw notReady(missing);
    }
  }
}

/** The answer of a process that cannot work yet. */
export const notReady = (waitingFor: readonly string[]): Problem =>
  new Problem('not-ready', 503, `waiting for ${waitingFor.join('; ')}`, { waitingFor }, { 'Retry-After': '1' });
