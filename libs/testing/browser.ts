/** A page, as far as a form is filled in. */
export interface Page {
  url: URL;
  status: number;
  text: string;
}

const unescaped = (text: string) =>
  text.replace(/&(amp|quot|lt|gt|#39|#x27);/g, (_, name: string) => ({ amp: '&', quot: '"', lt: '<', gt: '>' })[name] ?? "'");
const attribute = (tag: string, name: string) => {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
  return value === undefined ? undefined : unescaped(value);
};

/** A browser without scripts: it keeps cookies, follows redirects, and sends forms. */
export class Browser {
  private readonly jar = new Map<string, { path: string; pair: string }>();

  /** Open an address; redirects are followed up to one that starts with `until`. */
  async open(url: string | URL, until = '', init: { method?: string; form?: Record<string, string> } = {}): Promise<Page> {
    let [at, how] = [new URL(url), init];
    for (let hops = 0; hops < 15; hops++) {
      const body = how.form && new URLSearchParams(how.form);
      const headers: Record<string, string> = { cookie: this.cookiesFor(at), ...(body ? { origin: at.origin } : {}) };
      const answer = await fetch(at, { method: how.method ?? 'GET', redirect: 'manual', headers, body });
      for (const cookie of answer.headers.getSetCookie()) this.keep(cookie, at);
      const next = answer.headers.get('location');
      if (next === null) return { url: at, status: answer.status, text: await answer.text() };
      at = new URL(next, at);
      if (until !== '' && at.href.startsWith(until)) return { url: at, status: answer.status, text: '' };
      how = {};
    }
    throw new Error(`too many redirects, last to ${at.href}`);
  }

  /** Send the form of a page that has all these fields. */
  async submit(page: Page, fields: Record<string, string>, until = ''): Promise<Page> {
    const forms = page.text.match(/<form[\s\S]*?<\/form>/g) ?? [];
    const form = forms.find((text) => Object.keys(fields).every((name) => text.includes(`name="${name}"`)));
    if (!form)
      throw new Error(`${page.url.href} (${page.status}) has no form with ${Object.keys(fields).join(', ')}:\n${page.text}`);
    const hidden = (form.match(/<input[^>]*type="hidden"[^>]*>/g) ?? []).map((tag) => [attribute(tag, 'name') ?? '', attribute(tag, 'value') ?? '']); // prettier-ignore
    const action = new URL(attribute(/<form[^>]*>/.exec(form)![0], 'action') ?? '', page.url);
    return this.open(action, until, { method: 'POST', form: { ...(Object.fromEntries(hidden) as object), ...fields } });
  }

  private cookiesFor({ pathname }: URL): string {
    return [...this.jar.values()].flatMap(({ path, pair }) => (pathname.startsWith(path) ? [pair] : [])).join('; ');
  }

  private keep(cookie: string, at: URL) {
    const [pair = '', ...rest] = cookie.split(/;\s*/);
    const path = /^path=(.*)$/i.exec(rest.find((part) => /^path=/i.test(part)) ?? '')?.[1] ?? at.pathname;
    const id = `${pair.split('=')[0]} ${path}`;
    if (/=$/.test(pair) || rest.some((part) => /^expires=Thu, 01 Jan 1970/i.test(part))) this.jar.delete(id);
    else this.jar.set(id, { path, pair });
  }
}
