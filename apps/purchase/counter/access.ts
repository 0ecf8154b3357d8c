import { type CanActivate, createParamDecorator, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type Caller, context } from '#context';
import { isId, notFound } from '#resource';
import { holdsCinema, Staff } from '#staff';
import { Storage } from '#storage';
import { AccessKeys } from '../hold/keys.js';
import type { Returner } from './returns.js';

const SELLERS: readonly string[] = ['cashier', 'manager', 'chain-admin'];

/** Whether they sell at a box office. */
export const sells = ({ roles }: Caller): boolean => roles.some((role) => SELLERS.includes(role));

type Seen = FastifyRequest<{ Params: { id: string } }> & { returner?: Returner };

interface Whose {
  chain: string;
  cinema: string;
  customer: string | null;
  accessKeyHash: string | null;
}

/**
 * Lets a purchase be touched by whoever bought it and by who sells in its cinema; to all others there is none of that id. It stands
 * before idempotency, or a stranger could have an answer repeated.
 */
@Injectable()
export class OwnPurchase implements CanActivate {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Staff) private readonly staff: Staff,
    @Inject(AccessKeys) private readonly keys: AccessKeys,
  ) {}

  async canActivate(execution: ExecutionContext): Promise<boolean> {
    const request = execution.switchToHttp().getRequest<Seen>();
    const { id } = request.params;
    const [whose] = isId(id)
      ? await this.storage.query<Whose>('SELECT chain, cinema, customer, "accessKeyHash" FROM purchase WHERE id = $1', [id])
      : [];
    const caller = context()?.caller;
    const isBuyer = whose !== undefined && this.isBuyer(whose, request, caller);
    if (!isBuyer && !(whose && caller && (await this.actsThere(whose, caller)))) throw notFound('purchase', id);
    request.returner = { isStaff: !isBuyer, by: caller?.id };
    return true;
  }

  private isBuyer({ customer, accessKeyHash }: Whose, { headers }: Seen, caller: Caller | undefined): boolean {
    if (customer !== null) return customer === caller?.id;
    const key = headers['access-key'];
    return accessKeyHash !== null && typeof key === 'string' && this.keys.fits(key, accessKeyHash);
  }

  private async actsThere({ chain, cinema: id }: Whose, caller: Caller): Promise<boolean> {
    return sells(caller) && holdsCinema(await this.staff.bounds(), { id, chain });
  }
}

/** Who stands there, as `OwnPurchase` found. */
export const Who = createParamDecorator(
  (_: unknown, execution: ExecutionContext): Returner => execution.switchToHttp().getRequest<Seen>().returner!,
);
