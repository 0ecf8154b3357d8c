import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Storage } from '#storage';
import { holdExpired } from '../purchase.rules.js';
import type { Purchase } from '../purchase.row.js';

/** Whose seats are meant. */
export type Claimant = Pick<Purchase, 'id' | 'screening' | 'lines'>;

// Every statement that touches several claims takes them in this order, or two of them could wait for each other for ever.
const THEIRS = `SELECT c.screening, c.seat FROM seat_claim c
  JOIN json_to_recordset($1::json) AS t (purchase uuid, screening uuid, seat text)
    ON c.screening = t.screening AND c.seat = t.seat AND c.purchase = t.purchase
  ORDER BY c.screening, c.seat FOR UPDATE OF c`;

const asJson = (claimants: readonly Claimant[]) =>
  JSON.stringify(claimants.flatMap(({ id, screening, lines }) => lines.map(({ seat }) => ({ purchase: id, screening, seat }))));

/** The seats that purchases have, from when they are held; `purchase_hold` takes them. */
@Injectable()
export class Claims {
  constructor(@Inject(Storage) private readonly storage: Storage) {}

  /** The seats of a screening that cannot be had now. */
  async taken(screening: string): Promise<Set<string>> {
    const rows = await this.storage.query<{ seat: string }>(
      'SELECT seat FROM seat_claim WHERE screening = $1 AND until > clock_timestamp()',
      [screening],
    );
    return new Set(rows.map(({ seat }) => seat));
  }

  /** Let them be its own for ever, if they still are. @throws Problem `hold-expired` (409) when one of them no longer is */
  async keep(tx: EntityManager, purchase: Claimant): Promise<void> {
    const kept = await this.count(
      tx,
      `WITH theirs AS (${THEIRS}), kept AS (UPDATE seat_claim c SET until = 'infinity' FROM theirs t
         WHERE c.screening = t.screening AND c.seat = t.seat AND c.until > clock_timestamp() RETURNING 1)
       SELECT count(*)::int AS count FROM kept`,
      [asJson([purchase])],
    );
    if (kept !== purchase.lines.length) throw holdExpired();
  }

  /** Let them be its own until then again, as before it was to be paid. */
  async holdUntil(tx: EntityManager, purchase: Claimant, until: string): Promise<void> {
    await tx.query(
      `WITH theirs AS (${THEIRS}) UPDATE seat_claim c SET until = $2 FROM theirs t WHERE c.screening = t.screening AND c.seat = t.seat`,
      [asJson([purchase]), until],
    );
  }

  /** Let others have them. What has lapsed and belongs to somebody else by now is left alone. */
  async free(tx: EntityManager, ...purchases: readonly Claimant[]): Promise<void> {
    await tx.query(
      `WITH theirs AS (${THEIRS}) DELETE FROM seat_claim c USING theirs t WHERE c.screening = t.screening AND c.seat = t.seat`,
      [asJson(purchases)],
    );
  }

  private async count(tx: EntityManager, sql: string, values: unknown[]): Promise<number> {
    const [row] = await tx.query<{ count: number }[]>(sql, values);
    return row!.count;
  }
}
