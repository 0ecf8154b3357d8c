import { openClient } from '#postgres';
import type { Basket, ClaimRow } from '../check/basket.js';
import type { AttemptRow, Books, LedgerRow, ProviderRow, SoldRow } from '../check/ledger.js';

type Db = Awaited<ReturnType<typeof openClient>>;

const ENTRIES = `SELECT posting, purchase, screening, kind, account, "amountMinor", currency FROM purchase_command.ledger_entry`;
const PURCHASES = `SELECT id, screening, cinema, state, "totalMinor", jsonb_array_length(lines) AS seats,
    coalesce(jsonb_array_length(tickets), 0) AS tickets, payment ->> 'id' AS payment, payment ->> 'provider' AS provider, receipt,
    "exchangedFor" FROM purchase_command.purchase`;
const ATTEMPTS = 'SELECT id, purchase FROM purchase_command.payment_attempt';
const PROVIDER = `SELECT 'payment' AS kind, reference, NULL AS payment, "amountMinor", state FROM provider.provider_payment
  UNION ALL SELECT 'refund', reference, payment, "amountMinor", state FROM provider.provider_refund`;
const CLAIMS = 'SELECT screening, seat, purchase FROM purchase_command.seat_claim WHERE until > now()';
const LIVE = `SELECT id AS purchase, screening, array(SELECT jsonb_path_query(lines, '$[*].seat') #>> '{}') AS seats
  FROM purchase_command.purchase WHERE state IN ('paying', 'paid') OR (state = 'held' AND "heldUntilAt" > now())`;
const OPEN = `SELECT
  (SELECT count(*) FROM purchase_command.purchase WHERE state = 'paying')::int AS "being paid",
  (SELECT count(*) FROM purchase_command.payment_attempt WHERE state = 'pending')::int AS "payments pending",
  (SELECT count(*) FROM purchase_command.payment_refund WHERE state = 'pending')::int AS "refunds pending",
  (SELECT count(*) FROM provider.provider_payment WHERE state = 'pending')::int AS "payments undecided",
  (SELECT count(*) FROM provider.provider_refund WHERE state <> 'done')::int AS "refunds undone"`;

/** Who has which seats, as the database says at one moment. */
export interface Seats {
  claims: ClaimRow[];
  live: Basket[];
}

/** The shop's books and the provider's, side by side, each reading of one moment. */
export class BookKeeper {
  private constructor(private readonly db: Db) {}

  /** @param adminUrl  of a mesh of the drill's own */
  static async open(adminUrl: string): Promise<BookKeeper> {
    return new BookKeeper(await openClient(adminUrl, { name: 'drill-books' }));
  }

  books(): Promise<Books> {
    return this.atOneMoment(async () => ({
      entries: await this.rows<LedgerRow>(ENTRIES),
      purchases: (await this.rows<SoldRow>(PURCHASES)).map((row) => ({
        ...row,
        payment: row.payment ?? undefined,
        receipt: row.receipt ?? undefined,
        exchangedFor: row.exchangedFor ?? undefined,
      })),
      attempts: await this.rows<AttemptRow>(ATTEMPTS),
      provider: await this.rows<ProviderRow>(PROVIDER),
    }));
  }

  seats(): Promise<Seats> {
    return this.atOneMoment(async () => ({ claims: await this.rows<ClaimRow>(CLAIMS), live: await this.rows<Basket>(LIVE) }));
  }

  /** What is not settled yet, in words; empty when all is. */
  async unsettled(): Promise<string> {
    const [counts] = await this.rows<Record<string, number>>(OPEN);
    return Object.entries(counts!).flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : [])).join(', '); // prettier-ignore
  }

  close(): Promise<void> {
    return this.db.end();
  }

  private async atOneMoment<T>(read: () => Promise<T>): Promise<T> {
    await this.db.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    try {
      return await read();
    } finally {
      await this.db.query('COMMIT');
    }
  }

  private async rows<T>(sql: string): Promise<T[]> {
    return (await this.db.query(sql)).rows as T[];
  }
}
