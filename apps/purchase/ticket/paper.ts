import { qrSquares, QUIET_MODULES } from './qr.js';
import { type Language, localTime, money, type Shown, taxName, versionOf, WORDS } from './words.js';
import type { Line, Ticket } from '../purchase.events.js';

type Pdf = PDFKit.PDFDocument;

/** A6: four to a sheet, and as tall as a phone. Lengths are points. */
const PAGE = { width: 297.64, height: 419.53 };
const MARGIN = 22;
const WIDTH = PAGE.width - 2 * MARGIN;
const HEAD = 50;
const QR = 162;
const COLOURS = {
  ink: '#1b1b1f',
  faint: '#6b6b76',
  line: '#d5d5dc',
  brand: '#8f1d2c',
  onBrand: '#ffffff',
  onBrandFaint: '#f3d9dc',
};
const TITLE_SIZES = [21, 18, 15, 13];
const TITLE_LINES = 2;

/** Beyond Latin-1 in the encoding of the fonts that every reader has. @source ISO 32000-1 Annex D */
const FURTHER = '€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ';
const SPACES = /[\u2000-\u200a\u202f]/g;
const INSTEAD: Readonly<Record<string, string>> = { Ł: 'L', ł: 'l', Đ: 'D', đ: 'd', ı: 'i', '−': '-', '‐': '-', '‑': '-' };

const isWritable = (letter: string) => /^[ -~\u00a0-\u00ff]$/.test(letter) || FURTHER.includes(letter);

/** Text as those fonts can write it: a letter they lack loses its accent, or becomes a question mark. */
export const writable = (text: string): string =>
  [...text.normalize('NFC').replaceAll(SPACES, ' ')]
    .map((letter) => {
      if (isWritable(letter)) return letter;
      const bare = INSTEAD[letter] ?? letter.normalize('NFD').charAt(0);
      return isWritable(bare) ? bare : '?';
    })
    .join('');

const bold = (pdf: Pdf, size: number, colour = COLOURS.ink) => pdf.font('Helvetica-Bold').fontSize(size).fillColor(colour);
const plain = (pdf: Pdf, size: number, colour = COLOURS.ink) => pdf.font('Helvetica').fontSize(size).fillColor(colour);

/** One line of text, cut off with dots where it is too long. */
function line(
  pdf: Pdf,
  text: string,
  { x, y, width, ...options }: { x: number; y: number; width: number; align?: 'right' | 'center' },
) {
  pdf.text(writable(text), x, y, { width, height: pdf.currentLineHeight() + 1, ellipsis: true, lineBreak: true, ...options });
}

function head(pdf: Pdf, { show }: Shown): void {
  pdf.rect(0, 0, PAGE.width, HEAD).fill(COLOURS.brand);
  line(bold(pdf, 14, COLOURS.onBrand), 'CineManzana', { x: MARGIN, y: 12, width: WIDTH });
  line(plain(pdf, 9, COLOURS.onBrandFaint), `${show.cinemaName} · ${show.city}`, { x: MARGIN, y: 30, width: WIDTH });
}

/** The film, as large as two lines allow. @returns where it ends */
function title(pdf: Pdf, text: string, y: number): number {
  const written = writable(text);
  // Room for two lines, and a hair for what rounding takes.
  const room = (size: number) => TITLE_LINES * bold(pdf, size).currentLineHeight(true) + 1;
  const size = TITLE_SIZES.find((each) => bold(pdf, each).heightOfString(written, { width: WIDTH }) <= room(each));
  const height = room(size ?? TITLE_SIZES.at(-1)!);
  pdf.text(written, MARGIN, y, { width: WIDTH, height, ellipsis: true });
  return pdf.y;
}

/** Room, seat and time side by side, each under its name. */
function places(pdf: Pdf, purchase: Shown, { seat }: Line, { language, y }: { language: Language; y: number }): void {
  const { room, seat: seatWord, time } = WORDS[language];
  const { show } = purchase;
  const columns: [string, string, number][] = [
    [room, show.auditoriumName, 0.44],
    [seatWord, seat, 0.28],
    [time, localTime(show, purchase, language).time, 0.28],
  ];
  let x = MARGIN;
  for (const [name, value, share] of columns) {
    const width = WIDTH * share - 6;
    line(plain(pdf, 7.5, COLOURS.faint), name.toUpperCase(), { x, y, width });
    line(bold(pdf, value.length > 8 ? 12 : 17), value, { x, y: y + (value.length > 8 ? 13 : 10), width });
    x += WIDTH * share;
  }
}

async function code(pdf: Pdf, text: string, y: number): Promise<void> {
  const squares = await qrSquares(text);
  const side = QR / (squares.length + 2 * QUIET_MODULES);
  const left = (PAGE.width - QR) / 2 + QUIET_MODULES * side;
  const top = y + QUIET_MODULES * side;
  squares.forEach((row, r) => {
    // What is dark side by side is one rectangle: no seams, and a tenth of the size.
    for (let from = row.indexOf(true); from >= 0;) {
      const end = row.indexOf(false, from);
      const to = end < 0 ? row.length : end;
      pdf.rect(left + from * side, top + r * side, (to - from) * side, side);
      from = row.indexOf(true, to);
    }
  });
  pdf.fill('#000000');
}

function foot(pdf: Pdf, purchase: Shown, at: Line, { language, number }: { language: Language; number: number }): void {
  const words = WORDS[language];
  const { currency, receipt, id, show, lines } = purchase;
  const amount = (minor: number) => money(minor, currency, language);
  const who = `${words.categories[at.category]} · ${words.areas[at.area]}`;
  const paid = `${amount(at.amountMinor)} (${words.includes(taxName(purchase), amount(at.taxMinor))})`;
  const top = PAGE.height - 86;
  pdf
    .moveTo(MARGIN, top)
    .lineTo(PAGE.width - MARGIN, top)
    .dash(2, { space: 3 })
    .lineWidth(0.7)
    .stroke(COLOURS.line)
    .undash();
  const full = { x: MARGIN, width: WIDTH };
  line(bold(pdf, 9), who, { ...full, y: top + 9 });
  line(plain(pdf, 9), versionOf(show, language), { ...full, y: top + 9, align: 'right' });
  line(plain(pdf, 9), `${words.price}: ${paid}`, { ...full, y: top + 23 });
  line(plain(pdf, 9), `${words.receipt}: ${receipt ?? '–'}`, { ...full, y: top + 36 });
  line(plain(pdf, 9), words.ticketOf(number, lines.length), { ...full, y: top + 36, align: 'right' });
  line(plain(pdf, 6.5, COLOURS.faint), `${words.purchase} ${id}`, { ...full, y: top + 52 });
  line(plain(pdf, 6.5, COLOURS.faint), words.atTheDoor, { ...full, y: top + 63, align: 'center' });
}

async function page(pdf: Pdf, purchase: Shown, ticket: Ticket, at: { language: Language; number: number }): Promise<void> {
  const { show, lines } = purchase;
  const own = lines.find(({ seat }) => seat === ticket.seat)!;
  pdf.addPage();
  head(pdf, purchase);
  const end = title(pdf, show.title, HEAD + 12);
  line(plain(pdf, 10), localTime(show, purchase, at.language).day, { x: MARGIN, y: end + 3, width: WIDTH });
  places(pdf, purchase, own, { language: at.language, y: HEAD + 82 });
  await code(pdf, ticket.code, HEAD + 116);
  foot(pdf, purchase, own, at);
}

/** The tickets of a paid purchase as a PDF document, a page each. */
export async function ticketsPdf(purchase: Shown, language: Language): Promise<Buffer> {
  const { default: PdfDocument } = await import('pdfkit');
  const { show, paidAt, tickets = [] } = purchase;
  const at = new Date(paidAt ?? show.startAt);
  const pdf = new PdfDocument({
    ...{ size: [PAGE.width, PAGE.height], margin: 0, autoFirstPage: false, lang: language, displayTitle: true },
    info: { Title: `CineManzana: ${show.title}`, Author: 'CineManzana', CreationDate: at, ModDate: at },
  });
  const chunks: Buffer[] = [];
  const whole = new Promise<Buffer>((resolve, reject) => {
    pdf.on('data', (chunk: Buffer) => chunks.push(chunk));
    pdf.on('end', () => resolve(Buffer.concat(chunks)));
    pdf.on('error', reject);
  });
  for (const [index, ticket] of tickets.entries()) await page(pdf, purchase, ticket, { language, number: index + 1 });
  pdf.end();
  return whole;
}
