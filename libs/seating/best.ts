import { COMPANION, EDGE, type Line, Placing, SEAT, WHEELCHAIR } from './placing.js';
import { type Plan, type Seat, type SeatArea, type SeatKind, seatsOfRow } from './plan.js';

/** The most seats that are looked for at once. */
export const MOST_WANTED = 20;

/** What a party wants. */
export interface Wanted {
  /** Places in all, those for wheelchairs among them, 1 to `MOST_WANTED`. */
  seats: number;
  /** How many of them are for wheelchairs; none without it. */
  wheelchairs?: number;
  /** Only there; anywhere without it. */
  area?: SeatArea;
}

const KINDS: Readonly<Record<SeatKind, number>> = {
  ...{ seat: SEAT, wheelchair: WHEELCHAIR, companion: COMPANION },
  // Only staff sell house seats: for the public they are as good as taken.
  ...{ house: EDGE, broken: EDGE },
};

/** A step to another row is as far as two to another seat. */
const ROW_STEP = 2;
/** Where people like to sit: so far back, of all rows. */
const IDEAL_DEPTH = 2 / 3;
/** Distances are whole numbers of such a part of a seat's width. */
const PARTS = 100;

const isCount = (value: number, least: number, most: number) => Number.isInteger(value) && value >= least && value <= most;

/** The places of a plan in a line, and which seat each is. */
function lineOf(plan: Plan, isFree: (seatId: string) => boolean, area?: SeatArea): { line: Line; seats: (Seat | undefined)[] } {
  const rows = plan.map(seatsOfRow);
  const columns = rows.flatMap((row) => row.map(({ column }) => column));
  const [left, right] = [Math.min(...columns), Math.max(...columns)];
  const width = right - left + 2;
  const length = Number.isFinite(width) ? rows.length * width : 0;
  const line: Line = { kinds: new Uint8Array(length), takeable: new Uint8Array(length), distances: new Uint32Array(length) };
  const seats = Array.from<Seat | undefined>({ length });
  for (const [depth, row] of rows.entries()) {
    for (const seat of row) {
      const at = depth * width + seat.column - left;
      seats[at] = seat;
      const kind = KINDS[seat.kind];
      if (kind === EDGE || !isFree(seat.id)) continue;
      line.kinds[at] = kind;
      line.takeable[at] = area === undefined || area === seat.area ? 1 : 0;
      const [across, along] = [seat.column - (left + right) / 2, (depth - IDEAL_DEPTH * (rows.length - 1)) * ROW_STEP];
      line.distances[at] = Math.round(Math.hypot(across, along) * PARTS);
    }
  }
  return { line, seats };
}

/**
 * The best free seats for a party: neighbours in one row with no gap between them, as near as can be to the middle two thirds back,
 * and no seat left alone beside them when there is another choice; when no row has room, the fewest groups of two or more. House,
 * broken, and others' wheelchair places and companions' seats are never among them: a companion's seat goes with the wheelchair place beside it.
 *
 * @param isFree  whether a seat of the plan can be had
 * @returns their ids, row by row from the front; undefined when the party cannot be seated so
 * @throws RangeError when `wanted` is no whole numbers in their ranges
 */
export function bestAvailable(
  plan: Plan,
  isFree: (seatId: string) => boolean,
  { seats, wheelchairs = 0, area }: Wanted,
): string[] | undefined {
  if (!isCount(seats, 1, MOST_WANTED) || !isCount(wheelchairs, 0, seats))
    throw new RangeError(`${seats} seats, ${wheelchairs} of them for wheelchairs, cannot be looked for`);
  const { line, seats: all } = lineOf(plan, isFree, area);
  const rolling = line.kinds.reduce((sum, kind) => (kind === WHEELCHAIR ? sum + 1 : sum), 0);
  if (rolling < wheelchairs) return undefined;
  return new Placing(line, seats, wheelchairs).find()?.map((at) => all[at]!.id);
}
