/** A page as a browser has it. */
export interface Opened {
  url: string;
  status: number;
  headers: Headers;
  text: string;
}

interface Cookie {
  name: string;
  value: string;
  path: string;
}

const unescape = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[name]!);

const attribute = (tag: string, name: string) => {
  const found = new RegExp(`\\b${name}="([^"]*)"`).exec(tag);
  return found ? unescape(found[1]!) : undefined;
};

/** A browser without scripts: keeps cookies by their paths, follows redirects within its site, sends forms. */
export class Browser {
  cookies: Cookie[] = [];

  constructor(readonly headers: Record<string, string>) {}

  /** Open an address and follow redirects until there is a page, or one leads to another site. */
  async open(url: string, init: RequestInit = {}): Promise<Opened> {
    const { origin } = new URL(url);
    let now = url;
    for (let hops = 0; hops < 12; hops++) {
      const answer = await fetch(now, {
        ...(hops === 0 ? init : {}),
        redirect: 'manual',
        headers: { ...this.headers, ...(hops === 0 ? init.headers : {}), cookie: this.cookiesFor(now) },
      });
      this.keep(answer.headers);
      const location = answer.headers.get('location');
      if (!location) return { url: now, status: answer.status, headers: answer.headers, text: await answer.text() };
      await answer.arrayBuffer();
      now = new URL(location, now).href;
      if (new URL(now).origin !== origin || /\/signed-in\b/.test(now)) {
        return { url: now, status: answer.status, headers: answer.headers, text: '' };
      }
    }
    throw new Error(`too many redirects, the last to ${now}`);
  }

  /** Fill in the form of a page (the first one, or the one that leads to `action`) and send it. */
  send(page: Opened, fields: Record<string, string> = {}, action?: string, init: RequestInit = {}): Promise<Opened> {
    const forms = [...page.text.matchAll(/<form\b[\s\S]*?<\/form>/g)].map(([form]) => form);
    const form = forms.find((text) => !action || attribute(text, 'action')?.includes(action));
    if (!form) throw new Error(`there is no such form in ${page.url}: ${page.status} ${page.text.slice(0, 3000)}`);
    const body = new URLSearchParams();
    for (const [input] of form.matchAll(/<input\b[^>]*>/g)) {
      const [name, type] = [attribute(input, 'name'), attribute(input, 'type')];
      if (name && type !== 'checkbox') body.set(name, attribute(input, 'value') ?? '');
    }
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    const to = new URL(attribute(form, 'action')!, page.url).href;
    const headers = { 'content-type': 'application/x-www-form-urlencoded', ...(init.headers as Record<string, string>) };
    return this.open(to, { method: 'POST', body, ...init, headers });
  }

  private cookiesFor(url: string): string {
    const { pathname } = new URL(url);
    const fits = ({ path }: Cookie) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
    return this.cookies
      .filter(fits)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  private keep(headers: Headers) {
    for (const line of headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ');
      const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const path = attributes.find((text) => /^path=/i.test(text))?.slice(5) ?? '/';
      this.cookies = this.cookies.filter((cookie) => cookie.name !== name || cookie.path !== path);
      if (!/expires=Thu, 01 Jan 1970/i.test(line)) this.cookies.push({ name, value, path });
    }
  }
}
