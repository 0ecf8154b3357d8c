import type { Language } from '../provider/accounts.js';
import { type Html, html } from './html.js';
import { STYLE_PATH } from './style.js';
import type { Words } from './words.js';

/** Something to mend: in which field, if it is one's. */
export interface Mistake {
  field?: string;
  text: string;
}

/** What is between header and footer. */
export interface Page {
  title: string;
  /** Under the title. */
  lead?: string;
  /** Shown first, and given the focus. */
  mistakes?: readonly Mistake[];
  body?: Html;
  /** Below the card. */
  aside?: Html;
}

/** How a page is shown. */
export interface Frame {
  language: Language;
  words: Words;
  /** The same page in the other language. */
  switchTo: string;
}

/** An apple that plays. */
const MARK = html`<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <path
    fill="currentColor"
    fill-rule="evenodd"
    d="M12.3 6.4c.1-2.3 1.5-4.1 3.9-4.7.1 2.4-1.4 4.3-3.9 4.7zM12 7.6c1.2-.6 2.5-1.1 4-1.1 3 0 5 2.3 5 5.9 0 4.8-3 9.8-6.2 9.8-1.1 0-1.8-.5-2.8-.5s-1.7.5-2.8.5C6 22.2 3 17.2 3 12.4 3 8.8 5 6.5 8 6.5c1.5 0 2.8.5 4 1.1zM9.8 10.8v7l5.7-3.5z"
  />
</svg>`;

function summaryOf(mistakes: readonly Mistake[], words: Words): Html {
  const item = ({ field, text }: Mistake) => html`<li>${field ? html`<a href="#${field}">${text}</a>` : text}</li>`;
  return html`<div class="summary" id="summary" role="alert" tabindex="-1" autofocus aria-labelledby="summary-title">
    <h2 id="summary-title">${words.summary}</h2>
    <ul>
      ${mistakes.map(item)}
    </ul>
  </div>`;
}

/** A whole page. */
export function layout({ title, lead, mistakes = [], body, aside }: Page, { language, words, switchTo }: Frame): string {
  const other = language === 'es' ? 'en' : 'es';
  return html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${mistakes.length > 0 && `${words.error}: `}${title} – ${words.brand}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/oauth${STYLE_PATH}" />
      </head>
      <body>
        <a class="skip" href="#content">${words.skip}</a>
        <header>
          <a class="brand" href="/">${MARK}<span>${words.brand}</span></a>
          <nav aria-label="${words.language}">
            <a class="inline" href="${switchTo}" lang="${other}" hreflang="${other}">${words.otherLanguage}</a>
          </nav>
        </header>
        <main id="content">
          ${mistakes.length > 0 && summaryOf(mistakes, words)}
          <h1>${title}</h1>
          ${lead && html`<p class="lead">${lead}</p>`} ${body}
        </main>
        ${aside && html`<footer>${aside}</footer>`}
      </body>
    </html>`.text;
}

/** A labelled input. */
export interface Field {
  name: string;
  label: string;
  type: 'email' | 'password' | 'text';
  autocomplete: string;
  value?: string;
  hint?: string;
  /** At the end of the label's line. */
  beside?: Html;
  isOptional?: boolean;
  hasFocus?: boolean;
}

/** A label, its input, its hint, and what is wrong with it, all tied together. */
export function field(of: Field, mistakes: readonly Mistake[] = []): Html {
  const { name, label, type, autocomplete, value, hint, beside, isOptional, hasFocus } = of;
  const wrong = mistakes.find((mistake) => mistake.field === name);
  const describedBy = [hint && `${name}-hint`, wrong && `${name}-wrong`].filter(Boolean).join(' ');
  const attributes = [
    html`id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}"`,
    value ? html` value="${value}"` : html``,
    isOptional ? html`` : html` required`,
    type === 'email' ? html` inputmode="email" autocapitalize="none" spellcheck="false"` : html``,
    describedBy ? html` aria-describedby="${describedBy}"` : html``,
    wrong ? html` aria-invalid="true"` : html``,
    // What is wrong has the focus first.
    hasFocus && mistakes.length === 0 ? html` autofocus` : html``,
  ];
  return html`<div class="field">
    <div class="label"><label for="${name}">${label}</label>${beside}</div>
    <input ${attributes} />
    ${hint && html`<p class="hint" id="${name}-hint">${hint}</p>`}
    ${wrong && html`<p class="wrong" id="${name}-wrong">${wrong.text}</p>`}
  </div>`;
}

/** A form of ours. It is checked here, in the reader's own language, rather than by the browser. */
export const form = (action: string, token: string, body: Html): Html =>
  html`<form method="post" action="${action}" novalidate>
    <input type="hidden" name="form" value="${token}" />
    ${body}
  </form>`;

/** The button that sends a form. */
export const submit = (text: string): Html => html`<button type="submit">${text}</button>`;

/** A link that looks like one. */
export const linkButton = (href: string, text: string): Html => html`<a class="button" href="${href}">${text}</a>`;
