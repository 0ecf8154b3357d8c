import { Problem } from '#problem';

/** A token as the issuer gives it. @source RFC 6749 §5.1 */
export interface Granted {
  access_token: string;
  /** Seconds. */
  expires_in: number;
}

/** How a process proves who it is. */
export interface IdentityOptions {
  /** The client's id: the process's name. */
  id: string;
  /** Its secret as it is now; undefined where it was given none, and then it calls as nobody. */
  secret: () => string | undefined;
  /** Asks the issuer for a token with the client's credentials. */
  grant: (basic: string) => Promise<Granted>;
  /** ms since the epoch. */
  now?: () => number;
}

/** A token with less than this left is renewed before it is used, ms: the longest a call may take, and clocks differ. */
const LEAST_LEFT_MS = 30_000;
/** With less than this left it is renewed while it is still used, ms. */
const RENEW_LEFT_MS = 90_000;

/** A process's own access token: got when first needed, kept, renewed ahead of its end. */
export class Identity {
  private token?: string;
  private untilMs = 0;
  private asking?: Promise<string>;

  constructor(private readonly options: IdentityOptions) {}

  /** @returns undefined for a process without a secret @throws Problem when the issuer cannot be asked, or refuses (503) */
  async bearer(): Promise<string | undefined> {
    const { secret, now = Date.now } = this.options;
    const leftMs = this.untilMs - now();
    if (this.token !== undefined && leftMs > LEAST_LEFT_MS) {
      if (leftMs < RENEW_LEFT_MS) this.renew(secret()).catch(() => undefined); // the one we have is still good
      return this.token;
    }
    const known = secret();
    return known === undefined ? undefined : this.renew(known);
  }

  /** The token was refused: get another one next time. */
  forget(token: string): void {
    if (token === this.token) this.token = undefined;
  }

  private renew(secret: string | undefined): Promise<string> {
    if (secret === undefined) return Promise.reject(new Error('the secret is gone'));
    this.asking ??= this.ask(secret).finally(() => (this.asking = undefined));
    return this.asking;
  }

  private async ask(secret: string): Promise<string> {
    const { id, grant, now = Date.now } = this.options;
    const credentials = [id, secret].map(encodeURIComponent).join(':');
    const { access_token: token, expires_in: seconds } = await grant(
      `Basic ${Buffer.from(credentials).toString('base64')}`,
    ).catch((error: unknown) => {
      // A 401 of the issuer is about us, and no answer to whoever is waiting.
      if (!(error instanceof Problem) || error.status >= 500) throw error;
      throw new Problem('issuer-unavailable', 503, `the issuer refuses ${id}: is its client secret the right one?`);
    });
    this.token = token;
    this.untilMs = now() + seconds * 1000;
    return token;
  }
}
