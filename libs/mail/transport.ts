import { Inject, Injectable } from '@nestjs/common';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { type Breaker, Breakers } from '#breaker';
import { environment } from '#config';
import { MailConfig } from './mail-section.js';

/** A file that goes with an e-mail. */
export interface Attachment {
  filename: string;
  /** Its media type. */
  contentType: string;
  content: Buffer;
}

/** An e-mail as its reader sees it. */
export interface Letter {
  subject: string;
  text: string;
  /** The same for readers that show HTML; it loads nothing from anywhere. */
  html?: string;
  attachments?: readonly Attachment[];
}

/** A letter and where it goes. */
export interface Envelope extends Letter {
  address: string;
  /** Whose it is: as a file it bears this id, and is erased by it. */
  owner: string;
}

// A file of the outbox is for nobody but the account that runs the process.
const OURS = { folder: 0o700, file: 0o600 };

/** Takes e-mails to an SMTP server, or, without one, puts them into files. */
@Injectable()
export class MailTransport {
  private readonly breaker: Breaker;

  constructor(
    @Inject(MailConfig) private readonly config: MailConfig,
    @Inject(Breakers) breakers: Breakers,
  ) {
    this.breaker = breakers.of('smtp', { timeoutMs: config.smtpTimeoutMs });
  }

  /**
   * @param id  the same for each try of one e-mail: a mailbox that gets it twice shows it once
   * @throws Problem `breaker-open` (503), `timeout` (504), or what the server said
   */
  async send(id: string, { address, owner, ...letter }: Envelope): Promise<void> {
    const { subject, text, html, attachments = [] } = letter;
    const mail: SendMailOptions = {
      ...{ messageId: `<${id}@${this.host()}>`, from: this.config.from, to: { name: '', address } },
      ...{ subject, text, html, attachments: [...attachments] },
    };
    const url = environment().secret('SMTP_URL') ?? this.config.smtpUrl;
    await (url === undefined ? this.toFile(`${owner}-${id}`, mail) : this.breaker.fire(() => this.toServer(url, mail)));
  }

  /** Remove the files of what was sent to an owner. */
  async erase(owner: string): Promise<void> {
    const files = await readdir(this.folder()).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const own = files.filter((file) => file.includes(owner));
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

  private async toFile(name: string, mail: SendMailOptions): Promise<void> {
    const made = await createTransport({ streamTransport: true, buffer: true, newline: 'unix' }).sendMail(mail);
    const isPlain = mail.html === undefined && mail.attachments?.length === 0;
    const content = isPlain ? legible(String(made.message), String(mail.text)) : (made.message as Buffer);
    const file = `${new Date().toISOString().replaceAll(/[-:.]/g, '')}-${name}.eml`;
    await mkdir(this.folder(), { recursive: true, mode: OURS.folder });
    await writeFile(join(this.folder(), `.${file}`), content, { mode: OURS.file });
    await rename(join(this.folder(), `.${file}`), join(this.folder(), file));
  }

  private folder(): string {
    return resolve(environment().dataDir, this.config.outboxFolder);
  }

  private host(): string {
    return /@([\w.-]+)/.exec(this.config.from)?.[1] ?? 'localhost';
  }
}

/** A plain e-mail as it is read: whoever looks into the file wants to follow its link, which quoted-printable would break. */
function legible(message: string, text: string): string {
  const [head = ''] = message.split('\n\n', 1);
  return `${head.replace(/^Content-Transfer-Encoding: .*$/m, 'Content-Transfer-Encoding: 8bit')}\n\n${text}`;
}
