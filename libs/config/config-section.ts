import { IsInt, Max, Min } from 'class-validator';
import { Section } from './section.js';

/** How a process keeps its own configuration fresh. */
@Section('config')
export class ConfigSection {
  /** Between two looks at the configuration server, ms: a change is live within this and a little. */
  @IsInt()
  @Min(100)
  @Max(60_000)
  pollMs: number;
}
