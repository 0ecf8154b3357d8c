import { Inject, Injectable } from '@nestjs/common';
import { environment } from '#config';
import { type DueMail, type Envelope, MailWriter } from '#mail';
import { Storage } from '#storage';
import { User } from '../account.js';
import { UserConfig } from '../user-section.js';
import { letterOf } from './letters.js';
import { type LinkKind, Links } from './link.js';

/** Writes the letters with links: what `about` holds is whose account it is. */
@Injectable()
export class AccountLetters extends MailWriter {
  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(UserConfig) private readonly config: UserConfig,
    @Inject(Links) private readonly links: Links,
  ) {
    super();
  }

  override tidy(): Promise<void> {
    return this.links.clear();
  }

  async compose({ kind: given, about, tries }: DueMail): Promise<Envelope | undefined> {
    const [kind, userId] = [given as LinkKind, about!];
    const user = await this.storage.db.manager.findOneBy(User, { id: userId });
    if (!user?.email || user.disabled || (kind === 'confirm' && user.confirmed)) return undefined;
    // A try that failed has made a link already.
    if (kind === 'reset' && tries === 1 && (await this.links.isRecent(kind, userId, this.config.resetEverySeconds)))
      return undefined;
    const ttlMinutes = kind === 'confirm' ? this.config.confirmLinkHours * 60 : this.config.resetLinkMinutes;
    const link = linkOf(kind, await this.links.make(kind, userId, ttlMinutes * 60));
    const letter = letterOf(kind, user.language ?? 'es', { name: user.name ?? undefined, link, ttlMinutes });
    return { address: user.email, owner: userId, ...letter };
  }
}

const linkOf = (kind: LinkKind, token: string) => `${environment().publicUrl}/oauth/${kind}?token=${token}`;
