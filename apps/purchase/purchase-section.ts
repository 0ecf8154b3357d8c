import { IsInt, Max, Min } from 'class-validator';
import { Section } from '#config';

/** How seats are sold. */
@Section('purchase')
export class PurchaseConfig {
  /** Seats of a screening are sold until so long after its start, minutes. */
  @IsInt() @Min(0) @Max(240) saleAfterStartMinutes: number;

  /** Requests for seats taken in one statement, at most; 1: each in a statement of its own. */
  @IsInt() @Min(1) @Max(1000) jointHolds: number;
  /** Such statements under way at a time. */
  @IsInt() @Min(1) @Max(200) holdsAtOnce: number;
  /** Requests that may wait for theirs; more are refused at once. */
  @IsInt() @Min(1) @Max(100_000) holdsWaiting: number;
  /** How often the best seats are looked for anew when others took them meanwhile. */
  @IsInt() @Min(1) @Max(20) bestTries: number;
  /** Screenings whose seats and prices are kept at hand. */
  @IsInt() @Min(1) @Max(100_000) screeningsKept: number;

  /** Between two looks for holds that lapsed and for screenings that were cancelled, ms. */
  @IsInt() @Min(10) sweepMs: number;
  /** Lapsed holds taken away in one transaction, at most. */
  @IsInt() @Min(1) @Max(10_000) sweepPurchases: number;
  /** A statement of that may take, ms. */
  @IsInt() @Min(10) sweepStatementMs: number;
  /** When the process stops, what is under way may take, ms. */
  @IsInt() @Min(0) @Max(10_000) sweepDrainMs: number;
  /** A guest's e-mail is forgotten so long after the show, days. */
  @IsInt() @Min(1) @Max(3650) emailDays: number;
}
