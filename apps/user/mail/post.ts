import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { environment } from '#config';
import { runWithout } from '#context';
import { Log } from '#log';
import { isUnavailable, rest, Storage } from '#storage';
import { User } from '../account.js';
import { UserConfig } from '../user-section.js';
import { letterOf } from './letters.js';
import { type LinkKind, Links } from './link.js';
import { hasWritten, type Mail, MailQueue } from './queue.js';
import { MailTransport } from './transport.js';

/**
 * Sends the e-mails that were written, one at a time, in the background. It is woken by each commit that wrote one; what an
 * instance left that was killed, and what a server refused, is found by a slow look.
 */
@Injectable()
export class Post implements OnModuleInit, OnModuleDestroy {
  private readonly stopping = new AbortController();
  private isWoken = false;
  private running?: Promise<void>;
  private poll?: NodeJS.Timeout;
  private unhook?: () => void;

  constructor(
    @Inject(Storage) private readonly storage: Storage,
    @Inject(UserConfig) private readonly config: UserConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(Links) private readonly links: Links,
    @Inject(MailQueue) private readonly queue: MailQueue,
    @Inject(MailTransport) private readonly transport: MailTransport,
  ) {}

  onModuleInit(): void {
    this.unhook = this.storage.onCommit((tx) => {
      if (hasWritten(tx)) this.wake();
    });
    this.poll = runWithout(() => setInterval(() => this.wake(), this.config.mailPollMs));
    this.wake();
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.poll);
    this.unhook?.();
    this.stopping.abort();
    const late = new AbortController();
    await Promise.race([this.running, rest(this.config.mailDrainMs, late.signal)]);
    late.abort();
  }

  private wake(): void {
    this.isWoken = true;
    this.running ??= runWithout(() => this.run()).finally(() => {
      this.running = undefined;
      if (this.isWoken && !this.stopping.signal.aborted) this.wake();
    });
  }

  private async run(): Promise<void> {
    this.isWoken = false;
    try {
      await this.links.clear();
      while (!this.stopping.signal.aborted && (await this.next()));
    } catch (error) {
      // The look that follows tries again; of an outage #storage has said it.
      if (!isUnavailable(error)) this.log.warn('e-mails cannot be sent, will try again', { error });
    }
  }

  /** @returns false when none is due */
  private async next(): Promise<boolean> {
    const mail = await this.queue.take();
    if (!mail) return false;
    const about = { mailId: mail.id, kind: mail.kind, tries: mail.tries };
    try {
      await this.deliver(mail);
      await this.queue.done(mail);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      const isHopeless = mail.ageHours >= this.config.mailGiveUpHours;
      if (isHopeless) this.log.error('e-mail given up', { ...about, error });
      else if (mail.tries === 1) this.log.warn('e-mail not sent, will try again', { ...about, error });
      await (isHopeless ? this.queue.done(mail) : this.queue.putBack(mail));
    }
    return true;
  }

  private async deliver({ id, kind, userId, tries }: Mail): Promise<void> {
    if (userId === null) return;
    if (kind === 'erase') return this.transport.erase(userId);
    const user = await this.storage.db.manager.findOneBy(User, { id: userId });
    if (!user?.email || user.disabled || (kind === 'confirm' && user.confirmed)) return;
    // A try that failed has made a link already.
    if (kind === 'reset' && tries === 1 && (await this.links.isRecent(kind, userId, this.config.resetEverySeconds))) return;
    const ttlMinutes = kind === 'confirm' ? this.config.confirmLinkHours * 60 : this.config.resetLinkMinutes;
    const link = linkOf(kind, await this.links.make(kind, userId, ttlMinutes * 60));
    const letter = letterOf(kind, user.language ?? 'es', { name: user.name ?? undefined, link, ttlMinutes });
    await this.transport.send({ id, userId, address: user.email, ...letter });
  }
}

const linkOf = (kind: LinkKind, token: string) => `${environment().publicUrl}/oauth/${kind}?token=${token}`;
