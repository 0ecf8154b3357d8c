import type { Area, Category } from '../../cinema/cinema.events.js';
import type { PurchaseState, RefundReason, Show } from '../purchase.events.js';

/** The languages that buyers are spoken to in. */
export type Language = 'es' | 'en';

/** A purchase as papers and letters show it. */
export type Shown = Pick<
  PurchaseState,
  'lines' | 'totalMinor' | 'taxMinor' | 'tax' | 'currency' | 'show' | 'tickets' | 'receipt' | 'paidAt' | 'refund'
> & { id: string };

interface Words {
  categories: Readonly<Record<Category, string>>;
  areas: Readonly<Record<Area, string>>;
  reasons: Readonly<Record<RefundReason, string>>;
  room: string;
  seat: string;
  time: string;
  spoken: (language: string) => string;
  price: string;
  total: string;
  includes: (tax: string, amount: string) => string;
  receipt: string;
  purchase: string;
  ticketOf: (number: number, count: number) => string;
  atTheDoor: string;
}

/** What stands on papers, in each language. */
export const WORDS: Readonly<Record<Language, Words>> = {
  es: {
    categories: { adult: 'Adulto', child: 'Niño', student: 'Estudiante', senior: 'Adulto mayor' },
    areas: { standard: 'General', premium: 'Premium' },
    reasons: {
      ...{ customer: 'a pedido tuyo', 'screening-cancelled': 'porque la función se canceló', staff: 'por el cine' },
      ...{ 'late-approval': 'porque el pago llegó tarde', exchange: 'por un cambio' },
    },
    ...{
      room: 'Sala',
      seat: 'Asiento',
      time: 'Hora',
      price: 'Precio',
      total: 'Total',
      receipt: 'Comprobante',
      purchase: 'Compra',
    },
    spoken: (language) => `en ${language}`,
    includes: (tax, amount) => `incluye ${tax}: ${amount}`,
    ticketOf: (number, count) => `Entrada ${number} de ${count}`,
    atTheDoor: 'Muestra este código en la puerta. Deja entrar a una persona, una sola vez.',
  },
  en: {
    categories: { adult: 'Adult', child: 'Child', student: 'Student', senior: 'Senior' },
    areas: { standard: 'Standard', premium: 'Premium' },
    reasons: {
      ...{ customer: 'as you asked', 'screening-cancelled': 'because the screening was cancelled', staff: 'by the cinema' },
      ...{ 'late-approval': 'because the payment came too late', exchange: 'for an exchange' },
    },
    ...{ room: 'Screen', seat: 'Seat', time: 'Time', price: 'Price', total: 'Total', receipt: 'Receipt', purchase: 'Purchase' },
    spoken: (language) => `in ${language}`,
    includes: (tax, amount) => `includes ${tax}: ${amount}`,
    ticketOf: (number, count) => `Ticket ${number} of ${count}`,
    atTheDoor: 'Show this code at the door. It lets one person in, once.',
  },
};

const LANGUAGES: readonly Language[] = ['es', 'en'];

/**
 * The language that an `Accept-Language` asks for most, of those there are; Spanish when it asks for none of them.
 *
 * @source RFC 9110 §12.5.4
 */
export function languageOf(header = ''): Language {
  const wishes = header.split(',').map((wish) => {
    const [range = '', ...parameters] = wish.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return { language: range.split('-')[0], weight: q === undefined ? 1 : Number(q.slice(2)) || 0 };
  });
  const weightOf = (language: Language) => {
    const named = wishes.filter((wish) => wish.language === language);
    return Math.max(
      0,
      ...(named.length > 0 ? named : wishes.filter((wish) => wish.language === '*')).map(({ weight }) => weight),
    );
  };
  return LANGUAGES.reduce((best, each) => (weightOf(each) > weightOf(best) ? each : best));
}

/** The reader's language as it is written where that currency is: most begin with their country. */
const localeOf = (language: Language, currency: string) => `${language}-${currency.slice(0, 2)}`;

/** An amount as people write it. @param amountMinor  in minor units, as many as the currency has */
export function money(amountMinor: number, currency: string, language: Language): string {
  const format = new Intl.NumberFormat(localeOf(language, currency), { style: 'currency', currency });
  return format.format(amountMinor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 0));
}

/** The tax that prices include, `IGV 18 %`. */
export const taxName = ({ tax: { name, basisPoints } }: Pick<Shown, 'tax'>): string => `${name} ${basisPoints / 100} %`;

/** When it is, as its cinema's clock shows it. */
export function localTime(
  { startAt, timeZone }: Pick<Show, 'startAt' | 'timeZone'>,
  { currency }: Pick<Shown, 'currency'>,
  language: Language,
) {
  const at = new Date(startAt);
  const show = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(localeOf(language, currency), { timeZone, ...options }).format(at);
  const day = show({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
  return {
    day: day.charAt(0).toUpperCase() + day.slice(1),
    time: show({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
  };
}

/** `2D · en español`. */
export function versionOf({ format, language: spoken }: Pick<Show, 'format' | 'language'>, language: Language): string {
  const name = new Intl.DisplayNames(language, { type: 'language' }).of(spoken) ?? spoken;
  return `${format} · ${WORDS[language].spoken(name)}`;
}
