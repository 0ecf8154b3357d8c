/** What one place is to the search: nothing that it may take, or beside which anybody could sit; or a free one of that kind. */
export const EDGE = 0;
export const SEAT = 1;
export const WHEELCHAIR = 2;
export const COMPANION = 3;

/** All places in one line, row after row with an edge between two rows, so that neighbours in the line are neighbours. */
export interface Line {
  kinds: Uint8Array;
  /** 1 where a free place is also of the area that is wanted. */
  takeable: Uint8Array;
  /** From the best place there is; whole numbers, which add up without an error. */
  distances: Uint32Array;
}

// What is worse: one more group than any orphan, an orphan than any companion's seat of no use, that than any distance.
const WASTED = 1e7;
const ORPHAN = 1e10;
const GROUP = 1e13;

/**
 * The best way to seat some people: in the fewest groups of neighbours, of these the one that leaves the fewest seats alone, of these
 * the nearest. Found exactly, from the last place to the first: for each place, and each number of people and wheelchairs left,
 * what the best is from there on. Two groups bear upon each other only with one seat between them, which has a table of its own.
 */
export class Placing {
  private readonly states: number;
  /** By place and state: the best from that place on. */
  private readonly best: Float64Array;
  /** The same when a group begins there; what is to the left of it is not counted yet. */
  private readonly begun: Float64Array;
  /** The size of that group; below zero when the next begins right behind the seat that follows. */
  private readonly sizes: Int8Array;

  constructor(
    private readonly line: Line,
    private readonly people: number,
    private readonly wheelchairs: number,
  ) {
    this.states = (people + 1) * (wheelchairs + 1);
    const cells = (line.kinds.length + 3) * this.states;
    this.best = new Float64Array(cells).fill(Infinity);
    this.begun = new Float64Array(cells).fill(Infinity);
    this.sizes = new Int8Array(cells);
  }

  /** @returns the indexes of the places, in order; undefined when there is no way */
  find(): number[] | undefined {
    const { length } = this.line.kinds;
    for (let at = length; at < length + 3; at++) this.best[at * this.states] = 0;
    for (let at = length - 1; at >= 0; at--) {
      if (this.line.takeable[at]) this.begin(at);
      this.choose(at);
    }
    return this.best[this.cell(0, this.people, this.wheelchairs)] === Infinity ? undefined : this.trace();
  }

  private cell(at: number, people: number, wheelchairs: number): number {
    return at * this.states + people * (this.wheelchairs + 1) + wheelchairs;
  }

  /** Try every group that begins at `first`. */
  private begin(first: number): void {
    const { kinds, takeable, distances } = this.line;
    const least = this.people > 1 ? 2 : 1; // nobody of a party sits alone
    let [wheelchairs, cost] = [0, GROUP];
    for (let size = 1; size <= this.people && takeable[first + size - 1]; size++) {
      const last = first + size - 1;
      const isBy = (at: number) => at > first && kinds[at - 1] === WHEELCHAIR;
      // A companion's seat is for who takes the wheelchair place beside it.
      const isStray = last > first && kinds[last - 1] === COMPANION && !isBy(last - 1) && kinds[last] !== WHEELCHAIR;
      if (isStray) return;
      if (kinds[last] === WHEELCHAIR) wheelchairs++;
      cost += distances[last]!;
      const isWhole = size >= least && (kinds[last] !== COMPANION || isBy(last));
      if (wheelchairs > this.wheelchairs) return;
      if (isWhole) this.offer(first, size, wheelchairs, cost);
    }
  }

  /** Keep a group for each number of people left for whom it is the best from its place on. */
  private offer(first: number, size: number, wheelchairs: number, cost: number): void {
    const last = first + size - 1;
    const [apart, near] = [this.leftAlone(last, 1), this.leftBetween(last)];
    for (let all = size; all <= this.people; all++) {
      for (let rolling = wheelchairs; rolling <= this.wheelchairs; rolling++) {
        const rest = this.cell(0, all - size, rolling - wheelchairs);
        const next = apart + this.best[(last + 3) * this.states + rest]!;
        const close = near + this.begun[(last + 2) * this.states + rest]!;
        const total = cost + (next <= close ? next : close);
        const cell = this.cell(first, all, rolling);
        if (total >= this.begun[cell]!) continue;
        this.begun[cell] = total;
        this.sizes[cell] = next <= close ? size : -size;
      }
    }
  }

  /** What is lost beside a group that ends at `end`; `way` is 1 to its right and -1 to its left. */
  private leftAlone(end: number, way: 1 | -1): number {
    const { kinds } = this.line;
    const [own, beside, behind] = [kinds[end], kinds[end + way] ?? EDGE, kinds[end + 2 * way] ?? EDGE];
    // A seat that was alone before is no fault of this group.
    if (beside === SEAT) return own === SEAT && behind !== SEAT ? ORPHAN : 0;
    return beside === COMPANION && own === WHEELCHAIR && behind !== WHEELCHAIR ? WASTED : 0;
  }

  /** What is lost between a group that ends at `last` and one that begins two places on. */
  private leftBetween(last: number): number {
    const { kinds } = this.line;
    return kinds[last + 1] === SEAT && (kinds[last] === SEAT || kinds[last + 2] === SEAT) ? ORPHAN : 0;
  }

  private choose(at: number): void {
    const left = this.leftAlone(at, -1);
    const from = at * this.states;
    for (let state = from; state < from + this.states; state++) {
      const [here, later] = [left + this.begun[state]!, this.best[state + this.states]!];
      this.best[state] = here <= later ? here : later;
    }
  }

  private trace(): number[] {
    const found: number[] = [];
    let [at, people, wheelchairs, isClose] = [0, this.people, this.wheelchairs, false];
    while (people > 0) {
      const cell = this.cell(at, people, wheelchairs);
      // Of two as good the one further to the front and left, so that the answer is always the same.
      if (!isClose && this.leftAlone(at, -1) + this.begun[cell]! > this.best[cell + this.states]!) {
        at++;
        continue;
      }
      const size = Math.abs(this.sizes[cell]!);
      isClose = this.sizes[cell]! < 0;
      for (let place = at; place < at + size; place++) {
        found.push(place);
        if (this.line.kinds[place] === WHEELCHAIR) wheelchairs--;
      }
      people -= size;
      at += size + (isClose ? 1 : 2);
    }
    return found;
  }
}
