import { Inject, Injectable } from '@nestjs/common';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { type Breaker, Breakers } from '#breaker';
import { environment } from '#config';
import { UserConfig } from '../user-section.js';
import type { Letter } from './letters.js';

/** A letter on its way. */
export interface Envelope extends Letter {
  /** The same for each try of one e-mail: a mailbox that gets it twice shows it once. */
  id: string;
  userId: string;
  address: string;
}

// A file of the outbox is for nobody but the account that runs the process.
const OURS = { folder: 0o700, file: 0o600 };

/** Takes e-mails to an SMTP server, or, without one, puts them into files. */
@Injectable()
export class MailTransport {
  private readonly breaker: Breaker;

  constructor(
    @Inject(UserConfig) private readonly config: UserConfig,
    @Inject(Breakers) breakers: Breakers,
  ) {
    this.breaker = breakers.of('smtp', { timeoutMs: config.smtpTimeoutMs });
  }

  /** @throws Problem `breaker-open` (503), `timeout` (504), or what the server said */
  async send(envelope: Envelope): Promise<void> {
    const { id, address, subject, text } = envelope;
    const mail = { messageId: `<${id}@${this.host()}>`, from: this.config.mailFrom, to: { name: '', address }, subject, text };
    const url = environment().secret('SMTP_URL') ?? this.config.smtpUrl;
    await (url === undefined ? this.toFile(envelope, mail) : this.breaker.fire(() => this.toServer(url, mail)));
  }

  /** Remove the files of what was sent to a user. */
  async erase(userId: string): Promise<void> {
    const files = await readdir(this.folder()).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const own = files.filter((file) => file.includes(userId));
    await Promise.all(own.map((file) => rm(join(this.folder(), file), { force: true })));
  }

  private async toServer(url: string, mail: SendMailOptions): Promise<void> {
    const { smtpTimeoutMs } = this.config;
    const patience = { connectionTimeout: smtpTimeoutMs, greetingTimeout: smtpTimeoutMs, socketTimeout: smtpTimeoutMs };
    const server = createTransport({ url, ...patience, disableFileAccess: true, disableUrlAccess: true });
    try {
      await server.sendMail(mail);
    } finally {
      server.close();
    }
  }

  private async toFile({ userId, text }: Envelope, mail: SendMailOptions): Promise<void> {
    const made = await createTransport({ streamTransport: true, buffer: true, newline: 'unix' }).sendMail(mail);
    const [head = ''] = String(made.message).split('\n\n', 1);
    // Whoever looks into the file wants to follow its link: quoted-printable would break it.
    const plain = head.replace(/^Content-Transfer-Encoding: .*$/m, 'Content-Transfer-Encoding: 8bit');
    const file = `${new Date().toISOString().replaceAll(/[-:.]/g, '')}-${userId}.eml`;
    await mkdir(this.folder(), { recursive: true, mode: OURS.folder });
    await writeFile(join(this.folder(), `.${file}`), `${plain}\n\n${text}`, { mode: OURS.file });
    await rename(join(this.folder(), `.${file}`), join(this.folder(), file));
  }

  private folder(): string {
    return resolve(environment().dataDir, this.config.outboxFolder);
  }

  private host(): string {
    return /@([\w.-]+)/.exec(this.config.mailFrom)?.[1] ?? 'localhost';
  }
}
