import { Controller, Inject } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { type BusContext, forget } from '#bus';
import type { PurchaseState } from '../purchase/purchase.events.js';
import type { UserState } from '../user/user.events.js';
import { Customers } from './customers.js';

/** What customers are made of: users, and what they bought. */
@Controller()
export class CustomerHeard {
  constructor(@Inject(Customers) private readonly customers: Customers) {}

  @EventPattern(['user.created', 'user.changed'])
  user(@Ctx() { event }: BusContext<UserState>): Promise<void> {
    return this.customers.follow(event);
  }

  @EventPattern('user.erased')
  erased(@Ctx() { event }: BusContext<UserState>): Promise<void> {
    return this.customers.erase(event);
  }

  // The log may have kept only the last event of a purchase: whichever it is, it says whether it is paid.
  @EventPattern(['purchase.paid', 'purchase.admitted', 'purchase.refunded', 'purchase.exchanged', 'purchase.changed'])
  purchase(@Ctx() { event }: BusContext<PurchaseState>): Promise<void> {
    return this.customers.count(event);
  }

  /** The log has no more to say of a consent than that it was forgotten. */
  @EventPattern('customer.consentForgotten')
  async forgotten(@Ctx() { event, tx }: BusContext): Promise<void> {
    await forget(tx, 'customer', event.key);
  }
}
