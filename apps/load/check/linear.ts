/** One operation on one key, as its model knows it. */
export interface Call<Op> {
  op: Op;
  calledAt: number;
  /** Infinity when it was never answered: it may then take effect at any time from its call on, or never. */
  returnedAt: number;
}

/** How the one thing behaves that many use. States are compared by `===`. */
export interface Model<State, Op> {
  initial: State;
  /** The state after an operation that was answered as this one was; undefined when it cannot be in that state. */
  step(state: State, op: Op): State | undefined;
  /** It never changes anything in any state that allows it. */
  isRead(op: Op): boolean;
}

/** The first moment at which nothing explains what was answered. */
export interface Stuck<State, Op> {
  /** The answer that cannot be. */
  call: Call<Op>;
  /** All states that the thing could be in just before. */
  states: State[];
  /** What else was under way. */
  pending: Call<Op>[];
}

/** One way in which things may have gone: a state, and which of the operations under way have had their effect. */
interface Way<State> {
  state: State;
  done: ReadonlySet<number>;
}

/** More ways than this mean that the history is too vague to be judged: it then counts as wrong rather than as right. */
const MOST_WAYS = 200_000;

class Search<State, Op> {
  private readonly pending = new Set<number>();
  private ways: Way<State>[];
  private readonly numbers = new Map<State, number>();

  constructor(
    private readonly model: Model<State, Op>,
    private readonly calls: readonly Call<Op>[],
  ) {
    this.ways = [{ state: model.initial, done: new Set() }];
  }

  run(): Stuck<State, Op> | undefined {
    for (const { i, isReturn } of this.events()) {
      if (!isReturn) this.call(i);
      else if (!this.answer(i)) return this.stuck(i);
    }
    return undefined;
  }

  /** Calls and returns in the order of time; at the same time calls first, since then either order is possible. */
  private events(): { i: number; at: number; isReturn: boolean }[] {
    const events = this.calls.flatMap(({ calledAt, returnedAt }, i) => [
      { i, at: calledAt, isReturn: false },
      ...(returnedAt === Infinity ? [] : [{ i, at: returnedAt, isReturn: true }]),
    ]);
    return events.sort((a, b) => a.at - b.at || Number(a.isReturn) - Number(b.isReturn));
  }

  private call(i: number) {
    this.pending.add(i);
    if (this.model.isRead(this.calls[i]!.op)) this.ways = this.ways.map((way) => this.reading(way, [i]));
  }

  /** Keep the ways in which it has had its effect by now, each with as few other effects as that needs. */
  private answer(i: number): boolean {
    if (this.ways.length === 1 && this.ways[0]!.done.has(i)) return this.forget(i);
    const kept = new Map<string, Way<State>>();
    const seen = new Set<string>();
    const open = [...this.ways];
    while (open.length > 0 && seen.size < MOST_WAYS) {
      const way = open.pop()!;
      const name = this.nameOf(way);
      if (seen.has(name)) continue;
      seen.add(name);
      if (way.done.has(i)) {
        const done = new Set(way.done);
        done.delete(i);
        const left = { state: way.state, done };
        kept.set(this.nameOf(left), left);
      } else open.push(...this.next(way));
    }
    if (kept.size === 0 || seen.size >= MOST_WAYS) return false;
    this.pending.delete(i);
    this.ways = [...kept.values()];
    return true;
  }

  /** The usual case: all agree, and it has had its effect already. */
  private forget(i: number): true {
    const [{ state, done }] = this.ways as [Way<State>];
    const left = new Set(done);
    left.delete(i);
    this.ways = [{ state, done: left }];
    this.pending.delete(i);
    return true;
  }

  private next(way: Way<State>): Way<State>[] {
    const ways: Way<State>[] = [];
    for (const i of this.pending) {
      const { op } = this.calls[i]!;
      if (way.done.has(i) || this.model.isRead(op)) continue;
      const state = this.model.step(way.state, op);
      if (state !== undefined) ways.push(this.reading({ state, done: new Set(way.done).add(i) }, this.pending));
    }
    return ways;
  }

  /** What only reads, and can now, may as well do it now: that changes nothing for anybody else. */
  private reading(way: Way<State>, candidates: Iterable<number>): Way<State> {
    const read: number[] = [];
    for (const i of candidates) {
      const { op } = this.calls[i]!;
      if (this.model.isRead(op) && !way.done.has(i) && this.model.step(way.state, op) !== undefined) read.push(i);
    }
    return read.length === 0 ? way : { state: way.state, done: new Set([...way.done, ...read]) };
  }

  private nameOf({ state, done }: Way<State>): string {
    if (!this.numbers.has(state)) this.numbers.set(state, this.numbers.size);
    return `${this.numbers.get(state)}:${[...done].sort((a, b) => a - b).join()}`;
  }

  private stuck(i: number): Stuck<State, Op> {
    const pending = [...this.pending].filter((each) => each !== i).map((each) => this.calls[each]!);
    return { call: this.calls[i]!, states: [...new Set(this.ways.map(({ state }) => state))], pending };
  }
}

/**
 * Whether what was answered can be explained by operations that each took effect at one moment between their call and their answer.
 *
 * @returns undefined when it can, else where no explanation goes on
 * @source Wing & Gong, Testing and Verifying Concurrent Objects (1993); Lowe, Testing for Linearizability (2017), just-in-time
 */
export function findStuck<State, Op>(model: Model<State, Op>, calls: readonly Call<Op>[]): Stuck<State, Op> | undefined {
  return new Search(model, calls).run();
}
