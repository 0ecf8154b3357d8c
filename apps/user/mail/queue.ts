import { Inject, Injectable } from '@nestjs/common';
import { Column, Entity, type EntityManager, Index, PrimaryColumn } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { backoffMs, Storage } from '#storage';
import { UserConfig } from '../user-section.js';
import type { LinkKind } from './link.js';

/** What is to be sent; `erase` takes away what was put in files. */
export type MailKind = LinkKind | 'erase';

/** An e-mail to be sent once its transaction has committed. It holds no address and no token: both are looked up when it is sent. */
@Entity('mail')
export class Mail {
  @PrimaryColumn('uuid') id: string;
  @Column('varchar') kind: MailKind;
  /** To whom; null when an address was asked for that nobody has, so that asking costs the same. */
  @Column('uuid', { nullable: true }) userId: string | null;
  @Column('int', { default: 0 }) tries: number;
  @Column('timestamptz', { default: () => 'now()' }) writtenAt: Date;
  @Index('mail_due') @Column('timestamptz', { default: () => 'now()' }) dueAt: Date;
}

const WRITTEN = 'mail.written';

/** Write an e-mail in `tx`: it is sent when that commits, and not if it does not. */
export async function writeMail(tx: EntityManager, kind: MailKind, userId: string | null): Promise<void> {
  await tx.query('INSERT INTO mail (id, kind, "userId") VALUES ($1, $2, $3)', [uuidv7(), kind, userId]);
  if (tx.queryRunner) tx.queryRunner.data[WRITTEN] = true;
}

/** Whether an e-mail was written in what was this transaction. */
export const hasWritten = (tx: EntityManager): boolean => tx.queryRunner?.data[WRITTEN] === true;

/** The e-mails that wait. */
@Injectable()
export class MailQueue {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(UserConfig) private readonly config: UserConfig,
  ) {}

  /** The next one that is due; nobody else gets it until its time to be sent is over. */
  async take(): Promise<(Mail & { ageHours: number }) | undefined> {
    const [mail] = await this.storage.query<Mail & { ageHours: number }>(
      `UPDATE mail SET tries = tries + 1, "dueAt" = now() + make_interval(secs => $1 / 1000.0)
       WHERE id = (SELECT id FROM mail WHERE "dueAt" <= now() ORDER BY "dueAt", id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING *, (extract(epoch FROM now() - "writtenAt") / 3600)::float8 AS "ageHours"`,
      [this.config.smtpTimeoutMs + this.config.mailRetryMinMs],
    );
    return mail;
  }

  async done({ id }: Mail): Promise<void> {
    await this.storage.query('DELETE FROM mail WHERE id = $1', [id]);
  }

  /** Try it again, later each time. */
  async putBack({ id, tries }: Mail): Promise<void> {
    const { mailRetryMinMs: retryMinMs, mailRetryMaxMs: retryMaxMs } = this.config;
    const waitMs = backoffMs(tries - 1, { retryMinMs, retryMaxMs });
    await this.storage.query('UPDATE mail SET "dueAt" = now() + make_interval(secs => $2 / 1000.0) WHERE id = $1', [id, waitMs]);
  }
}
