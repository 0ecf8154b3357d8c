import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** What customers get. */
@Section('customer')
export class CustomerConfig {
  /** Points that a paid seat earns. */
  @IsInt() @Min(0) @Max(10_000) pointsPerSeat: number;
}
