import { v7 as uuid } from 'uuid';
import { openClient } from '#postgres';
import { type Answer, failed, type Seller, type Wish } from './seller.js';

type Db = Awaited<ReturnType<typeof openClient>>;

const SCHEMA = `
  CREATE SCHEMA IF NOT EXISTS careless;
  DROP TABLE IF EXISTS careless.claim;
  CREATE TABLE careless.claim (screening uuid NOT NULL, seat text NOT NULL, purchase uuid NOT NULL);
  CREATE INDEX ON careless.claim (screening, seat)`;

/**
 * The control: a seller that looks whether the seats are free and then takes them, in one transaction, as it is often written. Nothing
 * keeps two buyers from looking at the same moment, so it sells seats twice; a drill whose checker does not see that proves nothing.
 */
export class CarelessSeller implements Seller {
  private constructor(private readonly connections: readonly Db[]) {}

  /** @param url  of a superuser, of a database that is thrown away */
  static async open(url: string, buyers: number): Promise<CarelessSeller> {
    const connections = await Promise.all(Array.from({ length: buyers }, () => openClient(url, { name: 'drill-careless' })));
    await connections[0]!.query(SCHEMA);
    return new CarelessSeller(connections);
  }

  async hold({ screening, seats }: Wish, buyer: number): Promise<Answer> {
    const db = this.connections[buyer]!;
    const purchase = uuid();
    try {
      await db.query('BEGIN');
      const { rows } = await db.query('SELECT seat FROM careless.claim WHERE screening = $1 AND seat = ANY($2)', [
        screening,
        seats,
      ]);
      if (rows.length === 0)
        await db.query('INSERT INTO careless.claim SELECT $1, seat, $3 FROM unnest($2::text[]) AS seat', [
          screening,
          seats,
          purchase,
        ]);
      await db.query('COMMIT');
      const taken = [...new Set((rows as { seat: string }[]).map(({ seat }) => seat))];
      return taken.length === 0 ? { outcome: 'held', purchase } : { outcome: 'taken', taken };
    } catch (error) {
      await db.query('ROLLBACK').catch(() => undefined);
      return failed(error, purchase);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.connections.map((db) => db.end()));
  }
}
