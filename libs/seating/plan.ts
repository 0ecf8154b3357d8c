/** One row of a plan: a letter for each place, from the left as one looks at the stage. */
export interface PlanRow {
  name: string;
  seats: string;
}

/** Rows from the front backwards. */
export type Plan = readonly PlanRow[];

/** What a seat's price goes by. */
export type SeatArea = 'standard' | 'premium';
/** Who may have a seat. */
export type SeatKind = 'seat' | 'wheelchair' | 'companion' | 'house' | 'broken';

/** One place of a plan. */
export interface Seat {
  /** Row and number, `F3`. */
  id: string;
  row: string;
  /** From 1, gaps not counted. */
  number: number;
  /** From 0, gaps counted: neighbours differ by one, seats at an aisle do not. */
  column: number;
  area: SeatArea;
  kind: SeatKind;
}

const KINDS: Readonly<Record<string, SeatKind>> = { s: 'seat', w: 'wheelchair', c: 'companion', h: 'house', x: 'broken' };
const GAP = '.';

/** The most that a plan may have. */
export const PLAN_LIMITS = { rows: 60, placesOfRow: 80, seats: 1500 } as const;

/** What a row may be called: it is the first part of its seats' names. */
export const ROW_NAME = /^[A-Z0-9]{1,3}$/;

/** The letters that a row of a plan is written in, and how many. */
export const SEAT_LETTERS = /^[swchxSWCHX.]{1,80}$/;

/** The seats of one row, from the left; letters that mean nothing are gaps. */
export function seatsOfRow({ name: row, seats }: PlanRow): Seat[] {
  const found: Seat[] = [];
  for (const [column, letter] of [...seats].entries()) {
    const kind = letter === GAP ? undefined : KINDS[letter.toLowerCase()];
    if (!kind) continue;
    const number = found.length + 1;
    const area = letter === letter.toLowerCase() ? 'standard' : 'premium';
    found.push({ id: `${row}${number}`, row, number, column, area, kind });
  }
  return found;
}

/** Every seat of a plan, row by row, from the left; letters that mean nothing are gaps. */
export const seatsOf = (plan: Plan): Seat[] => plan.flatMap(seatsOfRow);

/** How many seats of a plan can be sold to anyone or by staff: all but broken ones. */
export const capacityOf = (plan: Plan): number => seatsOf(plan).filter(({ kind }) => kind !== 'broken').length;
