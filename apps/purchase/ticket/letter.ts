import type { Letter } from '#mail';
import type { PurchaseProgress } from '../purchase.events.js';
import { type Language, localTime, money, type Shown, taxName, versionOf, WORDS } from './words.js';

/** What a buyer is written about. */
export type LetterKind = 'tickets' | 'cancelled' | 'refunded';

/** What a letter is made from. */
export interface Occasion {
  purchase: Shown & { state: PurchaseProgress };
  language: Language;
  name?: string;
}

interface Phrases {
  hello: (name?: string) => string;
  subject: Readonly<Record<LetterKind, (title: string) => string>>;
  lead: Readonly<Record<LetterKind, string>>;
  /** In place of the lead when the money came too late to become a sale. */
  tooLate: string;
  refund: (amount: string, reason: string) => string;
  refundSoon: string;
  creditNote: (number: number) => string;
  where: string;
  when: string;
  regards: string;
}

const PHRASES: Readonly<Record<Language, Phrases>> = {
  es: {
    hello: (name) => (name ? `Hola, ${name}:` : 'Hola:'),
    subject: {
      tickets: (title) => `Tus entradas para ${title}`,
      cancelled: (title) => `Se canceló la función de ${title}`,
      refunded: (title) => `Te devolvemos el dinero de ${title}`,
    },
    lead: {
      tickets: 'Gracias por tu compra. Tus entradas van adjuntas: muéstralas en la puerta, en el teléfono o impresas.',
      cancelled: 'Lo sentimos: la función que compraste se canceló, y tus entradas ya no sirven.',
      refunded: 'Anulamos tu compra, y sus entradas ya no sirven.',
    },
    tooLate: 'Tu pago llegó cuando la reserva ya había terminado, así que no hay entradas.',
    refund: (amount, reason) => `Te devolvemos ${amount}, ${reason}, al mismo medio con el que pagaste.`,
    refundSoon: 'Según tu banco, puede tardar algunos días en verse.',
    creditNote: (number) => `Nota de crédito: ${number}`,
    ...{ where: 'Cine', when: 'Fecha', regards: 'CineManzana' },
  },
  en: {
    hello: (name) => (name ? `Hello ${name},` : 'Hello,'),
    subject: {
      tickets: (title) => `Your tickets for ${title}`,
      cancelled: (title) => `The screening of ${title} was cancelled`,
      refunded: (title) => `Your refund for ${title}`,
    },
    lead: {
      tickets: 'Thank you for your purchase. Your tickets are attached: show them at the door, on your phone or printed.',
      cancelled: 'We are sorry: the screening that you bought was cancelled, and your tickets are no longer good.',
      refunded: 'Your purchase was reversed, and its tickets are no longer good.',
    },
    tooLate: 'Your payment came when the hold was over, so there are no tickets.',
    refund: (amount, reason) => `We return ${amount}, ${reason}, to what you paid with.`,
    refundSoon: 'Depending on your bank it may take some days to show.',
    creditNote: (number) => `Credit note: ${number}`,
    ...{ where: 'Cinema', when: 'Date', regards: 'CineManzana' },
  },
};

/** Name and value, as the table of a letter has them. */
type Fact = readonly [string, string];

function factsOf({ purchase, language }: Occasion): Fact[] {
  const { show, lines, totalMinor, taxMinor, currency, receipt, id } = purchase;
  const [words, { where, when }] = [WORDS[language], PHRASES[language]];
  const { day, time } = localTime(show, purchase, language);
  const amount = (minor: number) => money(minor, currency, language);
  const seats = lines.map((line): Fact => {
    const kind = `${words.categories[line.category]}, ${words.areas[line.area]}`;
    return [`${words.seat} ${line.seat}`, `${kind}: ${amount(line.amountMinor)}`];
  });
  return [
    [where, `${show.cinemaName}, ${show.city}`],
    [words.room, `${show.auditoriumName} (${versionOf(show, language)})`],
    [when, `${day}, ${time}`],
    ...seats,
    [words.total, `${amount(totalMinor)} (${words.includes(taxName(purchase), amount(taxMinor))})`],
    ...(receipt === undefined ? [] : [[words.receipt, String(receipt)] as const]),
    [words.purchase, id],
  ];
}

function refundLines({ purchase: { refund, currency }, language }: Occasion): string[] {
  if (!refund) return [];
  const { refund: sentence, refundSoon, creditNote } = PHRASES[language];
  const number = refund.creditNote === undefined ? [] : [`${creditNote(refund.creditNote)}.`];
  const said = sentence(money(refund.amountMinor, currency, language), WORDS[language].reasons[refund.reason]);
  return [[said, refundSoon, ...number].join(' ')];
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const html = (text: string) => text.replaceAll(/[&<>"']/g, (letter) => ENTITIES[letter]!);
const paragraph = (text: string) => `<p style="margin:0 0 14px">${html(text)}</p>`;
const row = ([name, value]: Fact) =>
  `<tr><th align="left" valign="top" style="padding:3px 18px 3px 0;color:#6b6b76;font-weight:normal">${html(name)}</th>` +
  `<td style="padding:3px 0">${html(value)}</td></tr>`;
const BODY = 'font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:1.45;color:#1b1b1f;max-width:560px';

/** What a buyer reads of `kind`, plain and as HTML. */
export function letterOf(kind: LetterKind, occasion: Occasion): Letter {
  const { purchase, language, name } = occasion;
  const { title } = purchase.show;
  const phrases = PHRASES[language];
  const [facts, subject] = [factsOf(occasion), phrases.subject[kind](title).replaceAll(/\s+/g, ' ')];
  const lead = kind !== 'tickets' && purchase.refund?.reason === 'late-approval' ? phrases.tooLate : phrases.lead[kind];
  const said = [phrases.hello(name), lead, ...(kind === 'tickets' ? [] : refundLines(occasion))];
  const table = facts.map(([key, value]) => `${key}: ${value}`).join('\n');
  const heading = `<h1 style="font-size:21px;color:#8f1d2c;margin:0 0 14px">${html(title)}</h1>`;
  const body = [...said.map(paragraph), heading, `<table cellspacing="0" cellpadding="0">${facts.map(row).join('')}</table>`];
  const page = `<div style="${BODY}">${body.join('\n')}\n<p>${html(phrases.regards)}</p></div>`;
  return {
    subject,
    text: `${[...said, title, table, phrases.regards].join('\n\n')}\n`,
    html: `<!doctype html><html lang="${language}"><head><meta charset="utf-8"><title>${html(subject)}</title></head><body>${page}</body></html>`,
  };
}
