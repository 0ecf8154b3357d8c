/**
 * The registry's last answer, by id. A registry that was away may come back knowing less than before, until all have told it again;
 * what it lacks is kept for that time, or a whole mesh would vanish for a moment.
 */
export class Memory<T> {
  private said: ReadonlyMap<string, T> = new Map();
  private kept: ReadonlyMap<string, T> = new Map();

  /** What to go by. */
  get all(): ReadonlyMap<string, T> {
    return this.kept;
  }

  /** Whether something is kept that the registry did not say. */
  get isHolding(): boolean {
    return this.kept.size > this.said.size;
  }

  /** @param isBack  the registry has just come back: keep what it does not say */
  learn(said: ReadonlyMap<string, T>, isBack: boolean): void {
    this.said = said;
    this.kept = isBack ? new Map([...this.kept, ...said]) : said;
  }

  /** Go by the last answer alone. */
  letGo(): void {
    this.kept = this.said;
  }
}
