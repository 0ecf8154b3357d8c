import { Controller, Inject, Injectable } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import type { EntityManager } from 'typeorm';
import type { BusContext } from '#bus';
import { Client } from '#client';
import { type DueMail, type Envelope, MailWriter, writeMail } from '#mail';
import { Problem } from '#problem';
import { Storage } from '#storage';
import type { PurchaseState } from '../purchase.events.js';
import { Purchase } from '../purchase.row.js';
import { type LetterKind, letterOf } from './letter.js';
import { ticketsPdf } from './paper.js';
import type { Language } from './words.js';

export type { LetterKind } from './letter.js';

/** Whom a letter goes to. */
interface Recipient {
  address: string;
  /** The user, or a guest's purchase: an erased person's letters are found by it. */
  owner: string;
  language: Language;
  name?: string;
}

/** What user-command tells of an account. */
interface Account {
  email?: string;
  name?: string;
  language?: Language;
}

const NOT_KNOWN: Language = 'es';

/** The e-mails to buyers: what `about` holds is the purchase. */
@Injectable()
export class Letters extends MailWriter {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(Client) private readonly client: Client,
  ) {
    super();
  }

  /** Queue one, in `tx`: it is sent once that has been committed, and made from what the purchase is by then. */
  write(tx: EntityManager, kind: LetterKind, { id }: PurchaseState & { id: string }): Promise<void> {
    return writeMail(tx, kind, id);
  }

  async compose({ kind: given, about }: DueMail): Promise<Envelope | undefined> {
    const kind = given as LetterKind;
    const purchase = await this.storage.db.manager.findOneBy(Purchase, { id: about! });
    // Tickets that were given back meanwhile would only mislead.
    if (!purchase || (kind === 'tickets' && purchase.state !== 'paid')) return undefined;
    const recipient = await this.recipientOf(purchase);
    if (!recipient) return undefined;
    const { language, name, ...to } = recipient;
    const shown = { ...purchase, receipt: purchase.receipt ?? undefined, refund: purchase.refund ?? undefined };
    const letter = letterOf(kind, { purchase: shown, language, name });
    if (kind !== 'tickets') return { ...to, ...letter };
    const content = await ticketsPdf(shown, language);
    const filename = language === 'es' ? 'entradas.pdf' : 'tickets.pdf';
    return { ...to, ...letter, attachments: [{ filename, contentType: 'application/pdf', content }] };
  }

  private async recipientOf({ id, customer, email }: Purchase): Promise<Recipient | undefined> {
    if (email) return { address: email, owner: customer ?? id, language: NOT_KNOWN };
    if (!customer) return undefined;
    const account = await this.accountOf(customer);
    if (!account?.email) return undefined;
    return { address: account.email, owner: customer, language: account.language ?? NOT_KNOWN, name: account.name };
  }

  /** @returns undefined when the person is erased */
  private async accountOf(user: string): Promise<Account | undefined> {
    const path = `/internal/accounts/${encodeURIComponent(user)}`;
    try {
      return (await this.client.call<Account>('user-command', { method: 'GET', path })).body;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return undefined;
      throw error;
    }
  }
}

/** Takes away the letters to a person who is erased: those that wait find nobody, those in files are removed. */
@Controller()
export class ErasedReaders {
  constructor(@Inject(Storage) private readonly storage: Storage) {}

  @EventPattern<string>('user.erased')
  erased(@Ctx() { event }: BusContext): Promise<void> {
    return this.storage.transaction((tx) => writeMail(tx, 'erase', event.key));
  }
}
