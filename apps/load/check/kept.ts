import type { Operation } from './history.js';

/** What a purchase may have become when all that buyers were told of it is true. */
interface Told {
  states: ReadonlySet<string>;
  said: string;
}

const AFTER: Readonly<Record<Operation['f'], Told>> = {
  hold: { said: 'held', states: new Set(['held', 'paying', 'paid', 'refunded', 'exchanged', 'expired', 'cancelled']) },
  pay: { said: 'paid', states: new Set(['paid', 'refunded', 'exchanged']) },
  cancel: { said: 'cancelled', states: new Set(['cancelled', 'expired']) },
  refund: { said: 'refunded', states: new Set(['refunded']) },
  exchange: { said: 'paid', states: new Set(['paid', 'refunded', 'exchanged']) },
};

/**
 * What was acknowledged and is not there.
 *
 * @param states     of every purchase that is stored, by its id
 * @param calledOff  screenings that were cancelled: what was paid for them is given back unasked
 */
export function lostFaults(
  operations: readonly Operation[],
  states: ReadonlyMap<string, string>,
  calledOff: ReadonlySet<string> = new Set(),
): string[] {
  const asked = new Set(operations.filter(({ f }) => f === 'refund' || f === 'exchange').flatMap(({ f, value }) => (f === 'refund' ? value.purchase : value.from?.purchase) ?? [])); // prettier-ignore
  return operations
    .filter(({ type }) => type === 'ok')
    .flatMap(({ f, value: { purchase = '', screening, from } }) => {
      const { said, states: good } = AFTER[f];
      const state = states.get(purchase);
      if (state === undefined) return [`lost: purchase ${purchase} was acknowledged as ${said}, and there is none`];
      if (!good.has(state)) return [`lost: purchase ${purchase} was acknowledged as ${said}, and is ${state}`];
      if (from && states.get(from.purchase) !== 'exchanged') return [`lost: purchase ${from.purchase} was exchanged, and is ${states.get(from.purchase)}`]; // prettier-ignore
      if (f === 'pay' && state !== 'paid' && !asked.has(purchase) && !calledOff.has(screening)) return [`lost: purchase ${purchase} was paid, and is ${state} though nobody asked for that`]; // prettier-ignore
      return [];
    });
}
