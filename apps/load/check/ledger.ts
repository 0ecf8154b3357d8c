/** A side of a posting, as the table `ledger_entry` has it. */
export interface LedgerRow {
  posting: string;
  purchase: string;
  screening: string;
  kind: string;
  account: string;
  amountMinor: number;
  currency: string;
}

/** What of a purchase has to do with money. */
export interface SoldRow {
  id: string;
  screening: string;
  cinema: string;
  state: string;
  totalMinor: number;
  seats: number;
  tickets: number;
  /** The last attempt to pay it. */
  payment?: string;
  provider?: string;
  receipt?: number;
  exchangedFor?: string;
}

/** A payment or a refund as the provider has it. */
export interface ProviderRow {
  kind: 'payment' | 'refund';
  /** Of the attempt or the refund, as the shop calls it. */
  reference: string;
  /** Of a refund: the payment's reference. */
  payment?: string;
  amountMinor: number;
  state: string;
}

/** Which purchase an attempt to pay was for. */
export interface AttemptRow {
  id: string;
  purchase: string;
}

/** Both sides' books at one moment. */
export interface Books {
  entries: readonly LedgerRow[];
  purchases: readonly SoldRow[];
  attempts: readonly AttemptRow[];
  provider: readonly ProviderRow[];
}

/** Things that are one: of each the same name. */
class Families {
  private readonly parents = new Map<string, string>();

  of(name: string): string {
    const parent = this.parents.get(name);
    if (parent === undefined || parent === name) return name;
    const head = this.of(parent);
    this.parents.set(name, head);
    return head;
  }

  join(one: string, other: string): void {
    this.parents.set(this.of(one), this.of(other));
  }
}

function sums<T extends { amountMinor: number }>(rows: readonly T[], key: (row: T) => string): Map<string, number> {
  const by = new Map<string, number>();
  for (const row of rows) by.set(key(row), (by.get(key(row)) ?? 0) + row.amountMinor);
  return by;
}

/** What was exchanged is one with what it was exchanged for; so are the screenings of both. */
function familiesOf({ purchases }: Books): { purchases: Families; screenings: Families } {
  const families = { purchases: new Families(), screenings: new Families() };
  const screenings = new Map(purchases.map(({ id, screening }) => [id, screening]));
  for (const { id, screening, exchangedFor } of purchases) {
    if (!exchangedFor) continue;
    families.purchases.join(id, exchangedFor);
    families.screenings.join(screening, screenings.get(exchangedFor) ?? screening);
  }
  return families;
}

/** Sums that must be zero at every moment: of each posting, of each purchase with what it was exchanged for, and of each screening. */
export function unbalanced(books: Books): string[] {
  const families = familiesOf(books);
  const by = (what: string, key: (row: LedgerRow) => string) =>
    [...sums(books.entries, (row) => `${key(row)} in ${row.currency}`)]
      .filter(([, sum]) => sum !== 0)
      .map(([name, sum]) => `unbalanced: ${what} ${name} is off by ${sum}`);
  return [
    ...by('posting', ({ posting }) => posting),
    ...by('purchase', ({ purchase }) => families.purchases.of(purchase)),
    ...by('screening', ({ screening }) => families.screenings.of(screening)),
  ];
}

const isOurs = (provider: string | undefined) => ['cash', 'none', 'elsewhere'].includes(provider ?? '');

/** Each payment that was approved must be one sale with its tickets or have gone back, in full and once. */
function paymentFaults({ purchases, attempts, provider }: Books): string[] {
  const sold = sums(
    purchases.filter(({ state, payment }) => state === 'paid' && payment !== undefined).map(({ payment, totalMinor }) => ({ payment, amountMinor: totalMinor })),
    ({ payment }) => payment!,
  ); // prettier-ignore
  const back = sums(provider.filter(({ kind }) => kind === 'refund'), ({ payment }) => payment!); // prettier-ignore
  const known = new Set(attempts.map(({ id }) => id));
  return provider
    .filter(({ kind, state }) => kind === 'payment' && state === 'approved')
    .flatMap(({ reference, amountMinor }) => {
      if (!known.has(reference)) return [`unknown: payment ${reference} was charged, and no purchase asked for it`];
      const [sale, refund] = [sold.get(reference) ?? 0, back.get(reference) ?? 0];
      if (sale + refund === amountMinor) return [];
      if (sale + refund === 0) return [`charged: payment ${reference} of ${amountMinor} has neither tickets nor a refund`];
      return [`charged: of payment ${reference} of ${amountMinor} are ${sale} sold and ${refund} given back`];
    });
}

function purchaseFaults({ purchases, provider }: Books): string[] {
  const approved = new Map(provider.filter(({ kind, state }) => kind === 'payment' && state === 'approved').map((row) => [row.reference, row])); // prettier-ignore
  return purchases.flatMap((purchase) => {
    const { id, state, seats, tickets, payment = '', receipt } = purchase;
    if (state === 'paying') return [`unsettled: purchase ${id} is still being paid`];
    if (state !== 'paid') return [];
    const faults: string[] = [];
    if (tickets !== seats) faults.push(`tickets: purchase ${id} of ${seats} seats has ${tickets}`);
    if (!receipt) faults.push(`receipt: purchase ${id} has none`);
    if (!isOurs(purchase.provider) && !approved.has(payment)) faults.push(`unpaid: purchase ${id} is paid, and the provider has nothing`); // prettier-ignore
    return faults;
  });
}

/** What lies with the provider by our books, and by theirs; and nobody is owed anything any more. */
function accountFaults(books: Books): string[] {
  const { purchases: families } = familiesOf(books);
  const purchaseOf = new Map(books.attempts.map(({ id, purchase }) => [id, purchase]));
  const theirs = sums(
    books.provider
      .filter(({ kind, state }) => (kind === 'payment' ? state === 'approved' : state === 'done'))
      .map(({ kind, reference, payment, amountMinor }) => ({ of: kind === 'payment' ? reference : payment!, amountMinor: kind === 'payment' ? amountMinor : -amountMinor })), // prettier-ignore
    ({ of }) => families.of(purchaseOf.get(of) ?? of),
  );
  const of = (account: string) =>
    sums(books.entries.filter((row) => row.account === account), ({ purchase }) => families.of(purchase)); // prettier-ignore
  const ours = of('provider');
  const faults = [...new Set([...ours.keys(), ...theirs.keys()])]
    .filter((name) => (ours.get(name) ?? 0) !== (theirs.get(name) ?? 0))
    .map((name) => `books: purchase ${name} has ${ours.get(name) ?? 0} at the provider by us, ${theirs.get(name) ?? 0} by them`);
  const owed = [...of('refunds')].filter(([, sum]) => sum !== 0).map(([name, sum]) => `owed: purchase ${name} still has ${-sum} to get back`); // prettier-ignore
  return [...faults, ...owed];
}

/** Receipts of a cinema are 1, 2, 3, … */
function receiptFaults({ purchases }: Books): string[] {
  const byCinema = new Map<string, number[]>();
  for (const { cinema, receipt } of purchases) if (receipt) byCinema.set(cinema, [...(byCinema.get(cinema) ?? []), receipt]);
  return [...byCinema].flatMap(([cinema, numbers]) => {
    const wrong = numbers.sort((a, b) => a - b).findIndex((number, i) => number !== i + 1);
    return wrong < 0 ? [] : [`receipts: cinema ${cinema} has ${numbers[wrong]} where ${wrong + 1} should be`];
  });
}

/** Everything that is wrong with the books once all is settled: nothing is being paid, and refunds have arrived. */
export function bookFaults(books: Books): string[] {
  return [
    ...unbalanced(books),
    ...paymentFaults(books),
    ...purchaseFaults(books),
    ...accountFaults(books),
    ...receiptFaults(books),
  ];
}
