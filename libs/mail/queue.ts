import { Inject, Injectable } from '@nestjs/common';
import { Column, Entity, type EntityManager, Index, PrimaryColumn } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { backoffMs, markRound, Storage } from '#storage';
import { MailConfig } from './mail-section.js';

/** The kind of what takes away what was put in files. */
export const ERASE = 'erase';

/**
 * An e-mail to be sent once its transaction has committed. It holds no address and no word of its text: both are looked up when it is
 * sent.
 */
@Entity('mail')
export class Mail {
  @PrimaryColumn('uuid') id: string;
  /** Which letter it is; `erase` takes away those in files. */
  @Column('varchar') kind: string;
  /** The id of what its writer makes it from; null when it was asked for in vain, so that asking costs the same. */
  @Column('uuid', { nullable: true }) about: string | null;
  @Column('int', { default: 0 }) tries: number;
  @Column('timestamptz', { default: () => 'now()' }) writtenAt: Date;
  @Index('mail_due') @Column('timestamptz', { default: () => 'now()' }) dueAt: Date;
}

/** An e-mail whose turn it is; `tries` counts this one. */
export type DueMail = Mail & { ageHours: number };

/** By this name they are sent in rounds. */
export const E_MAILS = 'e-mails';

/**
 * Write an e-mail in `tx`: it is sent when that commits, and not if it does not.
 *
 * @param kind   which letter; `erase` removes the files of what was sent to the owner `about`
 * @param about  the id of what the letter is made from
 */
export async function writeMail(tx: EntityManager, kind: string, about: string | null): Promise<void> {
  await tx.query('INSERT INTO mail (id, kind, about) VALUES ($1, $2, $3)', [uuidv7(), kind, about]);
  markRound(tx, E_MAILS);
}

/** The e-mails that wait. */
@Injectable()
export class MailQueue {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(MailConfig) private readonly config: MailConfig,
  ) {}

  /** The next that are due; nobody else gets them until their time to be sent is over. */
  take(): Promise<DueMail[]> {
    const { smtpTimeoutMs, retryMinMs, atOnce } = this.config;
    return this.storage.query<DueMail>(
      `WITH due AS (SELECT id FROM mail WHERE "dueAt" <= now() ORDER BY "dueAt", id LIMIT $2 FOR UPDATE SKIP LOCKED)
       UPDATE mail SET tries = tries + 1, "dueAt" = now() + make_interval(secs => $1 / 1000.0)
       FROM due WHERE mail.id = due.id
       RETURNING mail.*, (extract(epoch FROM now() - "writtenAt") / 3600)::float8 AS "ageHours"`,
      [smtpTimeoutMs + retryMinMs, atOnce],
    );
  }

  /** It is sent, or need not be any more. */
  async done({ id }: Mail): Promise<void> {
    await this.storage.query('DELETE FROM mail WHERE id = $1', [id]);
  }

  /** Try it again, later each time. */
  async putBack({ id, tries }: Mail): Promise<void> {
    const waitMs = backoffMs(tries - 1, this.config);
    await this.storage.query('UPDATE mail SET "dueAt" = now() + make_interval(secs => $2 / 1000.0) WHERE id = $1', [id, waitMs]);
  }
}
