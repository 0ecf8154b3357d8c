import { createHash } from 'node:crypto';
import type { ProviderPayment } from './provider.row.js';
import { type Language, type Words, wordsOf } from './words.js';

// One column, system fonts, colours that pass AA in both schemes.
const STYLE = `
:root { color-scheme: light dark; --ground: #eef2f6; --paper: #fff; --ink: #16202b; --quiet: #4d5b6a; --line: #7a8896; --brand: #14507d; --on-brand: #fff; --focus: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0e141a; --paper: #18212b; --ink: #eef3f8; --quiet: #b4c0cc; --line: #8795a3; --brand: #8cc4f2; --on-brand: #08131d; --focus: #ffb4ab; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; padding: 2rem 1rem; background: var(--ground); color: var(--ink); font: 100%/1.5 system-ui, sans-serif; }
main { max-width: 27rem; margin: 0 auto; padding: 1.5rem; border-radius: 0.75rem; background: var(--paper); box-shadow: inset 0 4px 0 var(--brand); }
h1 { margin: 0 0 0.5rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1.25rem; color: var(--quiet); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.5rem 1rem; margin: 0 0 1.5rem; }
dt { color: var(--quiet); }
dd { margin: 0; text-align: end; overflow-wrap: anywhere; }
.total { font-size: 1.25rem; font-weight: 700; }
button, .button { display: block; width: 100%; min-height: 3rem; margin: 0 0 0.75rem; padding: 0.625rem 1rem; border: 1px solid var(--brand); border-radius: 0.5rem; background: var(--brand); color: var(--on-brand); font: inherit; font-weight: 700; text-align: center; text-decoration: none; cursor: pointer; }
button.second { background: transparent; color: var(--ink); border-color: var(--line); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
`;

const SHOP = 'CineManzana';
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string) => text.replace(/[&<>"']/g, (found) => ESCAPES[found]!);

/** Headers of every page: nothing of it is kept, framed or told to others; its form leads to us, and from there back to the shop. */
export function headersOf(payment?: ProviderPayment): Record<string, string> {
  const shop = payment?.returnUrl ? ` ${new URL(payment.returnUrl).origin}` : '';
  return {
    'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'${shop}; base-uri 'none'; frame-ancestors 'none'`,
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'X-Robots-Tag': 'noindex',
    Vary: 'Accept-Language',
  };
}

const amountOf = ({ amountMinor, currency }: ProviderPayment, language: Language): string => {
  const format = new Intl.NumberFormat(language, { style: 'currency', currency, currencyDisplay: 'code' });
  return format.format(amountMinor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 0));
};

function page(language: Language, title: string, body: string): string {
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

function factsOf(payment: ProviderPayment, language: Language, words: Words): string {
  return `<dl>
<dt>${words.shop}</dt><dd>${SHOP}</dd>
<dt>${words.what}</dt><dd>${escaped(payment.description)}</dd>
<dt>${words.amount}</dt><dd class="total">${escaped(amountOf(payment, language))}</dd>
</dl>`;
}

const button = (answer: string, text: string, isSecond = true) =>
  `<button name="answer" value="${answer}"${isSecond ? ' class="second"' : ''}>${text}</button>`;

/** Where the buyer decides about a payment, or reads what became of it. */
export function paymentPage(payment: ProviderPayment, language: Language): string {
  const words = wordsOf(language);
  const facts = factsOf(payment, language, words);
  if (payment.state === 'pending') {
    const buttons = [button('approve', words.approve, false), button('decline', words.decline), button('later', words.later)];
    const form = `<form method="post" action="/sandbox/pay/${payment.id}">\n${buttons.join('\n')}\n</form>`;
    return page(language, words.title, `<p>${words.notice}</p>\n${facts}\n${form}`);
  }
  return page(language, words[payment.state], `<p>${words.decided}</p>\n${facts}\n${backTo(payment, words)}`);
}

/** What a buyer reads whom the shop gave no address to go back to. */
export function laterPage(payment: ProviderPayment, language: Language): string {
  const words = wordsOf(language);
  return page(language, words.pending, `<p>${words.undecided}</p>\n${factsOf(payment, language, words)}`);
}

/** There is no such payment. */
export function missingPage(language: Language): string {
  const words = wordsOf(language);
  return page(language, words.missing, `<p>${words.missingLead}</p>`);
}

const backTo = ({ returnUrl }: ProviderPayment, words: Words) =>
  returnUrl === null ? '' : `<a class="button" href="${escaped(returnUrl)}">${words.back}</a>`;
