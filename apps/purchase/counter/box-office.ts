import { Inject, Injectable } from '@nestjs/common';
import { type Caller, context } from '#context';
import { invalidInput, Problem } from '#problem';
import type { Asked } from '#resource';
import { isStaff } from '#resource';
import { holdsCinema, Staff } from '#staff';
import { Storage } from '#storage';
import { sells } from './access.js';
import { type Buyer, type Held, Holds, rowOf } from '../hold/holds.js';
import type { Order } from '../hold/order.js';
import { Programme } from '../hold/programme.js';
import { Sales } from '../sales.js';

/** Where seats are asked for: by customers, by guests, and by staff for those who stand before them. */
@Injectable()
export class BoxOffice {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Staff) private readonly staff: Staff,
    @Inject(Programme) private readonly programme: Programme,
    @Inject(Holds) private readonly holds: Holds,
    @Inject(Sales) private readonly sales: Sales,
  ) {}

  /** @throws Problem as `Holds.take`; `out-of-bounds`, `forbidden` (403) */
  async sell(order: Order, asked: Asked): Promise<Held> {
    const caller = context()?.caller;
    const buyer = await this.buyerOf(order, caller);
    if (!caller || !isStaff(caller)) return this.holds.take(order, buyer, asked);
    // What staff do is recorded with what they do, so it is a transaction of its own.
    return this.storage.transaction(async (tx) => {
      const held = await this.holds.takeIn(tx, order, buyer, asked);
      if (!held.isRepeated) await this.sales.rows.recordMade(tx, rowOf(held.answer), 'held');
      return held;
    });
  }

  private async buyerOf(order: Order, caller: Caller | undefined): Promise<Buyer> {
    const { email } = order;
    if (!caller) {
      if (email === undefined) throw wrongEmail('is required of guests: the tickets go there');
      return { email, isGuest: true, isStaff: false };
    }
    const { id, client } = caller;
    if (sells(caller) && (await this.sellsFor(order, caller)))
      return { soldBy: id, by: id, email, isGuest: false, isStaff: true, isUncounted: true };
    if (id === client) throw new Problem('forbidden', 403, 'a client does not go to the cinema by itself');
    if (email !== undefined) throw wrongEmail('is known of who is signed in');
    return { customer: id, by: id, isGuest: false, isStaff: false };
  }

  /** @returns false for who sells elsewhere and buys here as anyone may */
  private async sellsFor({ screening }: Order, { roles }: Caller): Promise<boolean> {
    const found = await this.programme.find(screening);
    // Without the screening nothing is sold at all.
    if (!found) return true;
    const { cinema: id, chain } = found.screening;
    if (roles.includes('customer')) return holdsCinema(await this.staff.bounds(), { id, chain });
    await this.staff.actsInCinema({ id, chain });
    return true;
  }
}

const wrongEmail = (detail: string) => invalidInput([{ pointer: '/email', detail }]);
