import type { PurchaseDeed, PurchaseState, Step } from '../purchase.events.js';
import { type Language, money, WORDS } from '../ticket/words.js';

/** What of a purchase its history is told from. */
export type Told = Pick<
  PurchaseState,
  'history' | 'lines' | 'totalMinor' | 'currency' | 'show' | 'receipt' | 'refund' | 'tickets'
>;

/** One thing that happened, for people. */
export interface TimelineItem {
  /** UTC, ISO 8601. */
  at: string;
  /** By the cinema's clock, with its distance from UTC. */
  localAt: string;
  what: PurchaseDeed;
  text: string;
  /** The user who did it. */
  by?: string;
}

type Sentence = (purchase: Told, step: Step, language: Language) => string;

const seats = ({ lines }: Told) => lines.map(({ seat }) => seat).join(', ');
const total = ({ totalMinor, currency }: Told, language: Language) => money(totalMinor, currency, language);
const returned = ({ refund, totalMinor, currency }: Told, language: Language) =>
  money(refund?.amountMinor ?? totalMinor, currency, language);
const why = ({ refund }: Told, language: Language) => (refund ? `, ${WORDS[language].reasons[refund.reason]}` : '');
/** The seat that was let in at that moment. */
const letIn = ({ tickets = [] }: Told, { at, detail }: Step) =>
  tickets.find(({ admittedAt }) => admittedAt !== undefined && Date.parse(admittedAt) === Date.parse(at))?.seat ?? detail;
const after = (text: string | undefined, before = ' ') => (text ? `${before}${text}` : '');

const SENTENCES: Readonly<Record<Language, Record<PurchaseDeed, Sentence>>> = {
  es: {
    held: (it, _, language) => `Se reservaron los asientos ${seats(it)} por ${total(it, language)}.`,
    paying: () => 'Empezó el pago.',
    declined: () => 'El pago fue rechazado; los asientos siguen reservados mientras dure la reserva.',
    paid: (it, _, language) => `Se pagaron ${total(it, language)}${after(it.receipt?.toString(), ', comprobante ')}.`,
    expired: () => 'La reserva venció y los asientos quedaron libres.',
    cancelled: () => 'Se canceló la reserva y los asientos quedaron libres.',
    refunded: (it, _, language) => `Se anuló la compra: se devuelven ${returned(it, language)}${why(it, language)}.`,
    'refund-done': (it, _, language) => `El proveedor de pagos devolvió ${returned(it, language)}.`,
    'late-approval': () => 'El pago llegó cuando ya no quedaba nada que comprar con él; se devuelve completo.',
    exchanged: () => 'Se cambió por otra compra.',
    admitted: (it, step) => `Entró una persona${after(letIn(it, step), ' al asiento ')}.`,
  },
  en: {
    held: (it, _, language) => `Seats ${seats(it)} were held, for ${total(it, language)}.`,
    paying: () => 'Payment began.',
    declined: () => 'The payment was declined; the seats stay held until the hold lapses.',
    paid: (it, _, language) => `${total(it, language)} paid${after(it.receipt?.toString(), ', receipt ')}.`,
    expired: () => 'The hold lapsed and the seats were free again.',
    cancelled: () => 'The hold was cancelled and the seats were free again.',
    refunded: (it, _, language) => `The purchase was reversed: ${returned(it, language)} go back${why(it, language)}.`,
    'refund-done': (it, _, language) => `The payment provider returned ${returned(it, language)}.`,
    'late-approval': () => 'A payment came when nothing was left to buy with it; all of it goes back.',
    exchanged: () => 'It was exchanged for another purchase.',
    admitted: (it, step) => `One person was let in${after(letIn(it, step), ' to seat ')}.`,
  },
};

/** An instant as a clock on the wall of that zone shows it, ISO 8601. */
const localAt = (at: string, timeZone: string): string =>
  Temporal.Instant.from(at).toZonedDateTimeISO(timeZone).toString({ timeZoneName: 'never', smallestUnit: 'second' });

/** The history of a purchase in sentences, the oldest first. */
export function timelineOf(purchase: Told, language: Language): TimelineItem[] {
  const { history, show } = purchase;
  return history.map((step) => ({
    ...{ at: step.at, localAt: localAt(step.at, show.timeZone), what: step.what },
    text: SENTENCES[language][step.what](purchase, step, language),
    ...(step.by === undefined ? {} : { by: step.by }),
  }));
}
