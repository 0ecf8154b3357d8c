/** Text that is HTML already. */
export class Html {
  constructor(readonly text: string) {}
}

type Part = Html | string | number | undefined | false | readonly Html[];

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

const escape = (text: string) => text.replace(/[&<>"']/g, (found) => ESCAPES[found]!);

function shown(part: Part): string {
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(({ text }: Html) => text).join('');
  return part === undefined || part === false ? '' : escape(String(part));
}

/** HTML with everything that is put in escaped, but for what is HTML itself. What is undefined or false is left out. */
export const html = (texts: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(texts.map((text, i) => text + (i < parts.length ? shown(parts[i]) : '')).join(''));

/** A form from outside, or from oidc-provider, as it is. */
export const trusted = (text: string): Html => new Html(text);
