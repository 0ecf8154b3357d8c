export { bestAvailable, MOST_WANTED, type Wanted } from './best.js';
export { type PlanError, planErrors } from './errors.js';
export {
  capacityOf,
  type Plan,
  PLAN_LIMITS,
  type PlanRow,
  ROW_NAME,
  type Seat,
  SEAT_LETTERS,
  type SeatArea,
  type SeatKind,
  seatsOf,
} from './plan.js';
