import { type Plan, PLAN_LIMITS, type PlanRow, ROW_NAME, type Seat, SEAT_LETTERS, seatsOfRow } from './plan.js';

/** One wrong place of a plan. */
export interface PlanError {
  /** RFC 6901, from the plan: `/3/seats`. */
  pointer: string;
  detail: string;
}

// Not /i: to Unicode a long s is an s.
const UNKNOWN_LETTERS = /[^swchxSWCHX.]/gu;

/** What is wrong with the letters of one row. */
function letterErrors(seats: string): string[] {
  if (SEAT_LETTERS.test(seats)) return [];
  const unknown = [...new Set(seats.match(UNKNOWN_LETTERS))].slice(0, 5).map((letter) => JSON.stringify(letter));
  const places = [...seats].length;
  const { placesOfRow } = PLAN_LIMITS;
  return [
    ...(places < 1 || places > placesOfRow ? [`must have 1 to ${placesOfRow} places, and has ${places}`] : []),
    ...(unknown.length > 0 ? [`must be written in s, w, c, h, x and . alone, without ${unknown.join(' ')}`] : []),
  ];
}

/** Seats of companions beside no wheelchair place. */
function strayCompanions(seats: readonly Seat[]): string[] {
  const wheelchairs = new Set(seats.filter(({ kind }) => kind === 'wheelchair').map(({ column }) => column));
  return seats
    .filter(({ kind, column }) => kind === 'companion' && !wheelchairs.has(column - 1) && !wheelchairs.has(column + 1))
    .map(({ id }) => `the companion's seat ${id} must be next to a wheelchair place`);
}

/** What is wrong with one row by itself. */
function rowErrors(row: PlanRow, at: number): PlanError[] {
  const badName = ROW_NAME.test(row.name) ? [] : ['must be 1 to 3 capital letters or digits'];
  return [
    ...badName.map((detail) => ({ pointer: `/${at}/name`, detail })),
    ...[...letterErrors(row.seats), ...strayCompanions(seatsOfRow(row))].map((detail) => ({ pointer: `/${at}/seats`, detail })),
  ];
}

/** Rows of one name, and seats of one name: seat 11 of row 1 and seat 1 of row 11 are both `111`. */
function nameErrors(plan: Plan): PlanError[] {
  const rows = new Set<string>();
  const rowOf = new Map<string, string>();
  return plan.flatMap((row, at): PlanError[] => {
    const pointer = `/${at}/name`;
    if (rows.has(row.name)) return [{ pointer, detail: 'is the name of another row too' }];
    rows.add(row.name);
    const seats = seatsOfRow(row);
    const twin = seats.find(({ id }) => rowOf.has(id));
    const errors = twin ? [{ pointer, detail: `makes a seat ${twin.id}, and so does row ${rowOf.get(twin.id)}` }] : [];
    for (const { id } of seats) rowOf.set(id, row.name);
    return errors;
  });
}

/**
 * What keeps a plan from being an auditorium's: names of rows and seats that are not the only ones of their kind, unknown letters,
 * companions' seats beside no wheelchair place, nothing to sell, or more than `PLAN_LIMITS`.
 *
 * @returns nothing when it is right
 */
export function planErrors(plan: Plan): PlanError[] {
  const { rows, seats } = PLAN_LIMITS;
  const whole = (detail: string): PlanError[] => [{ pointer: '', detail }];
  // Of a plan of a million rows only this is said.
  if (plan.length < 1 || plan.length > rows) return whole(`must have 1 to ${rows} rows, and has ${plan.length}`);
  const all = plan.flatMap(seatsOfRow);
  return [
    ...plan.flatMap(rowErrors),
    ...nameErrors(plan),
    ...(all.some(({ kind }) => kind !== 'broken') ? [] : whole('must have a seat that can be sold')),
    ...(all.length > seats ? whole(`must have at most ${seats} seats, and has ${all.length}`) : []),
  ];
}
