import { Injectable } from '@nestjs/common';
import { Column, Entity, type EntityManager, Index, PrimaryColumn } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import type { Purchase } from '../purchase.row.js';

/** Why money or a claim to it moved. */
export type PostingKind = 'sale' | 'refund' | 'refund-done' | 'late-approval' | 'exchange';

/**
 * Whose it is: `provider`, `cash` and `elsewhere`, with who sold our seats, are where the money lies, `refunds` is owed to buyers until they have it, `sales` is earned and
 * `tax` owed to the state.
 */
export type Account = 'provider' | 'cash' | 'elsewhere' | 'sales' | 'tax' | 'refunds';

/** One side of a posting; those of one posting add up to zero, which the database checks when they are committed. */
@Entity('ledger_entry')
export class LedgerEntry {
  @PrimaryColumn('uuid') id: string;
  @Index('ledger_entry_posting') @Column('uuid') posting: string;
  @Index('ledger_entry_purchase') @Column('uuid') purchase: string;
  @Column('uuid') screening: string;
  @Column('uuid') cinema: string;
  @Column('timestamptz', { default: () => 'now()' }) at: Date;
  @Column('varchar') kind: PostingKind;
  @Column('varchar') account: Account;
  /** Above zero into the account, below zero out of it. */
  @Column('int') amountMinor: number;
  @Column('varchar') currency: string;
}

/** How many numbers of a kind a cinema has given. */
@Entity('receipt_counter')
export class ReceiptCounter {
  @PrimaryColumn('uuid') cinema: string;
  @PrimaryColumn('varchar') kind: ReceiptKind;
  @Column('int') last: number;
}
export type ReceiptKind = 'receipt' | 'credit-note';

type Sold = Pick<Purchase, 'id' | 'screening' | 'cinema' | 'currency' | 'totalMinor' | 'taxMinor' | 'payment'>;
interface Side {
  of: Sold;
  account: Account;
  amountMinor: number;
}

/** Where the money of a purchase lies. */
const moneyOf = ({ payment }: Pick<Purchase, 'payment'>): Account =>
  payment?.provider === 'cash' || payment?.provider === 'elsewhere' ? payment.provider : 'provider';

/** What a sale earns and owes, `1` when it is made and `-1` when it is taken back. */
const earned = (of: Sold, sign: 1 | -1): Side[] => [
  { of, account: 'sales', amountMinor: sign * (of.totalMinor - of.taxMinor) },
  { of, account: 'tax', amountMinor: sign * of.taxMinor },
];

/** What came of sales, in double entry: an account says where money lies above zero, and where it comes from below. */
@Injectable()
export class Ledger {
  /** Paid: the money is there, earned and owed. */
  sale(tx: EntityManager, of: Sold): Promise<void> {
    return this.post(tx, 'sale', [{ of, account: moneyOf(of), amountMinor: of.totalMinor }, ...earned(of, -1)]);
  }

  /** To be given back: it is no longer earned, and owed to the buyer. */
  refund(tx: EntityManager, of: Sold): Promise<void> {
    return this.post(tx, 'refund', [...earned(of, 1), { of, account: 'refunds', amountMinor: -of.totalMinor }]);
  }

  /** Money that came too late to be earned: it is owed to the buyer. */
  late(tx: EntityManager, of: Sold): Promise<void> {
    const { totalMinor } = of;
    return this.post(tx, 'late-approval', [
      { of, account: 'provider', amountMinor: totalMinor },
      { of, account: 'refunds', amountMinor: -totalMinor },
    ]);
  }

  /** The buyer has it back. @param from  where it lay; money that came too late lay with the provider */
  refundDone(tx: EntityManager, of: Sold, amountMinor: number, from: Account = moneyOf(of)): Promise<void> {
    return this.post(tx, 'refund-done', [
      { of, account: 'refunds', amountMinor },
      { of, account: from, amountMinor: -amountMinor },
    ]);
  }

  /** One sale takes the place of another; what it costs less is owed to the buyer. */
  exchange(tx: EntityManager, old: Sold, next: Sold): Promise<void> {
    const owed = { of: old, account: 'refunds' as const, amountMinor: next.totalMinor - old.totalMinor };
    return this.post(tx, 'exchange', [...earned(old, 1), ...earned(next, -1), owed]);
  }

  /**
   * The next number of a cinema's receipts or credit notes. It is the transaction's until that ends, and others wait for it, so that
   * one rolled back leaves no gap: ask for it last. Of both kinds, for the receipt first.
   */
  async number(tx: EntityManager, cinema: string, kind: ReceiptKind): Promise<number> {
    const rows = await tx.query<{ last: number }[]>(
      `INSERT INTO receipt_counter AS c (cinema, kind, last) VALUES ($1, $2, 1)
       ON CONFLICT (cinema, kind) DO UPDATE SET last = c.last + 1 RETURNING last`,
      [cinema, kind],
    );
    return rows[0]!.last;
  }

  private async post(tx: EntityManager, kind: PostingKind, sides: readonly Side[]): Promise<void> {
    const posting = uuidv7();
    const entries = sides
      .filter(({ amountMinor }) => amountMinor !== 0)
      .map(({ of, account, amountMinor }) => {
        const { id: purchase, screening, cinema, currency } = of;
        return { id: uuidv7(), posting, purchase, screening, cinema, kind, account, amountMinor, currency };
      });
    if (entries.length > 0) await tx.insert(LedgerEntry, entries);
  }
}
