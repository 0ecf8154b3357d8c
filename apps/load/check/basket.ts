/** Seats that belong together. */
export interface Basket {
  purchase: string;
  screening: string;
  seats: readonly string[];
}

/** A seat as the table of claims has it. */
export interface ClaimRow {
  screening: string;
  seat: string;
  purchase: string;
}

/** What buyers were told, and what is stored. */
export interface Baskets {
  /** Those that were told to have their seats, and have not let go of them. */
  told: readonly Basket[];
  /** Asked for without an answer: each may be there or not. What nobody could name has no purchase. */
  unknown?: readonly (Omit<Basket, 'purchase'> & { purchase?: string })[];
  /** Every claim that has not lapsed. */
  claims: readonly ClaimRow[];
  /** Every purchase that is held, being paid or paid, with the seats of its lines; nothing of a seller that keeps none. */
  live?: readonly Basket[];
  /** Each attempt was for one seat, so nothing kept any of these from being sold. */
  asked?: readonly { screening: string; seat: string }[];
}

/** What is wrong with a basket or a seat. */
export interface BasketFault {
  kind: 'double' | 'partial' | 'lost' | 'invented' | 'unequal' | 'unsold';
  sentence: string;
}

const keyOf = (screening: string, seats: readonly string[]) => `${screening} ${[...seats].sort().join(',')}`;
const fault = (kind: BasketFault['kind'], sentence: string): BasketFault => ({ kind, sentence });

function grouped<T>(all: readonly T[], key: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) {
    const group = groups.get(key(each));
    if (group) group.push(each);
    else groups.set(key(each), [each]);
  }
  return groups;
}

/** Seats that more than one purchase has: by the claims, or by the lines of live purchases. */
function doubles({ claims, live = [] }: Baskets): BasketFault[] {
  const owned = [
    ...claims,
    ...live.flatMap(({ purchase, screening, seats }) => seats.map((seat) => ({ purchase, screening, seat }))),
  ];
  return [...grouped(owned, ({ screening, seat }) => `${screening} ${seat}`)].flatMap(([key, owners]) => {
    const purchases = new Set(owners.map(({ purchase }) => purchase));
    return purchases.size > 1 ? [fault('double', `${key} belongs to ${[...purchases].join(' and ')}`)] : [];
  });
}

/** Whether the claims of one purchase are the seats of its basket. */
function compared(basket: Basket, claims: readonly ClaimRow[], isSure: boolean): BasketFault[] {
  const { purchase, screening, seats } = basket;
  const had = new Set(claims.filter((claim) => claim.screening === screening).map(({ seat }) => seat));
  const missing = seats.filter((seat) => !had.has(seat));
  const more = claims.filter((claim) => claim.screening !== screening || !seats.includes(claim.seat)).map(({ seat }) => seat);
  if (more.length > 0) return [fault('invented', `${purchase} has ${more.join(', ')}, which it never asked for`)];
  if (missing.length === 0) return [];
  if (missing.length < seats.length) return [fault('partial', `${purchase} asked for ${seats.join(', ')} and lacks ${missing.join(', ')}`)]; // prettier-ignore
  return isSure ? [fault('lost', `${purchase} was told to have ${seats.join(', ')} and has nothing`)] : [];
}

/** The basket behind a purchase that nobody was told of, if somebody asked for these very seats without an answer. */
function unanswered({ unknown = [] }: Baskets) {
  const named = new Map(unknown.flatMap((basket) => (basket.purchase ? [[basket.purchase, basket as Basket]] : [])));
  const nameless = grouped(unknown.filter(({ purchase }) => !purchase), ({ screening, seats }) => keyOf(screening, seats)); // prettier-ignore
  return (purchase: string, claims: readonly ClaimRow[]): Basket | undefined => {
    const known = named.get(purchase);
    if (known) return known;
    const { screening } = claims[0]!;
    const seats = claims.map(({ seat }) => seat);
    return nameless.get(keyOf(screening, seats))?.pop() && { purchase, screening, seats };
  };
}

function compareAll(baskets: Baskets): BasketFault[] {
  const { told, claims, live } = baskets;
  const byPurchase = grouped(claims, ({ purchase }) => purchase);
  const faults = told.flatMap((basket) => compared(basket, byPurchase.get(basket.purchase) ?? [], true));
  const tellers = new Set(told.map(({ purchase }) => purchase));
  const find = unanswered(baskets);
  for (const [purchase, theirs] of byPurchase) {
    if (tellers.has(purchase)) continue;
    const basket = find(purchase, theirs);
    if (basket) faults.push(...compared(basket, theirs, false));
    else faults.push(fault('invented', `nobody was told of ${purchase}, which has ${theirs.map(({ seat }) => seat).join(', ')}`));
  }
  if (!live) return faults;
  for (const basket of live) faults.push(...compared(basket, byPurchase.get(basket.purchase) ?? [], true));
  const lives = new Set(live.map(({ purchase }) => purchase));
  for (const purchase of byPurchase.keys())
    if (!lives.has(purchase)) faults.push(fault('invented', `${purchase} has seats and is no live purchase`));
  return faults;
}

/**
 * What is wrong with who has which seats: each basket must have all of its seats or none, each seat one purchase, and as many seats must
 * be sold as buyers were told.
 */
export function basketFaults(baskets: Baskets): BasketFault[] {
  const { told, unknown = [], claims, asked = [] } = baskets;
  const faults = [...doubles(baskets), ...compareAll(baskets)];
  const toldSeats = told.reduce((sum, { seats }) => sum + seats.length, 0);
  if (unknown.length === 0 && toldSeats !== claims.length)
    faults.push(fault('unequal', `${claims.length} seats are sold, buyers were told of ${toldSeats}`));
  const sold = new Set(claims.map(({ screening, seat }) => `${screening} ${seat}`));
  const unsold = new Set(asked.map(({ screening, seat }) => `${screening} ${seat}`).filter((key) => !sold.has(key)));
  for (const key of unsold) faults.push(fault('unsold', `${key} was asked for, and nobody has it`));
  return faults;
}
