import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit, type Provider, type Type } from '@nestjs/common';
import { Log } from '#log';
import { isUnavailable, rest, Rounds, Storage } from '#storage';
import { MailConfig } from './mail-section.js';
import { type DueMail, E_MAILS, ERASE, MailQueue } from './queue.js';
import { type Envelope, MailTransport } from './transport.js';

/** Knows what the e-mails of its process say; each process that sends any has one. */
export abstract class MailWriter {
  /** The e-mail as it is to be sent now, or undefined when it need not be any more. What throws is tried again later. */
  abstract compose(mail: DueMail): Promise<Envelope | undefined>;

  /** Called when none is left that is due, at each look. */
  tidy(): Promise<void> {
    return Promise.resolve();
  }
}

/** Sends the e-mails that were written, in the background; what a server refused is found by a slow look. */
@Injectable()
export class Post implements OnModuleInit, OnModuleDestroy {
  private readonly rounds: Rounds;

  constructor(
    @Inject(Storage) storage: Storage,
    @Inject(MailConfig) private readonly config: MailConfig,
    @Inject(Log) private readonly log: Log,
    @Inject(MailQueue) private readonly queue: MailQueue,
    @Inject(MailTransport) private readonly transport: MailTransport,
    @Inject(MailWriter) private readonly writer: MailWriter,
  ) {
    const { drainMs } = config;
    this.rounds = new Rounds({ storage, log, name: E_MAILS, drainMs, pollMs: () => config.pollMs, next: () => this.next() });
  }

  onModuleInit(): void {
    this.rounds.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.rounds.stop();
  }

  private async next(): Promise<boolean> {
    const mails = await this.queue.take();
    const done = await Promise.allSettled(mails.map((mail) => this.send(mail)));
    for (const each of done) if (each.status === 'rejected') throw each.reason as Error;
    if (mails.length === 0) {
      await this.writer.tidy();
      return false;
    }
    await rest(this.config.restMs);
    return true;
  }

  private async send(mail: DueMail): Promise<void> {
    const about = { mailId: mail.id, kind: mail.kind, tries: mail.tries };
    try {
      await this.deliver(mail);
      await this.queue.done(mail);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      const isHopeless = mail.ageHours >= this.config.giveUpHours;
      if (isHopeless) this.log.error('e-mail given up', { ...about, error });
      else if (mail.tries === 1) this.log.warn('e-mail not sent, will try again', { ...about, error });
      await (isHopeless ? this.queue.done(mail) : this.queue.putBack(mail));
    }
  }

  private async deliver(mail: DueMail): Promise<void> {
    if (mail.about === null) return;
    if (mail.kind === ERASE) return this.transport.erase(mail.about);
    const envelope = await this.writer.compose(mail);
    if (envelope) await this.transport.send(mail.id, envelope);
  }
}

/** What a process that sends e-mails provides, beside the table `Mail` and the section `MailConfig`. @param writer  what its e-mails say */
export const mailParts = (writer: Type<MailWriter>): Provider[] => [
  writer,
  { provide: MailWriter, useExisting: writer },
  ...[MailQueue, MailTransport, Post],
];
