import type { CinemaState, Price } from '../../cinema/cinema.events.js';
import type { LayoutRow } from '../../auditorium/auditorium.events.js';

/** The chain of the demonstration. Its rules of selling are the defaults. */
export const CHAIN = { name: 'CineManzana' };

/** An auditorium and what its screenings are like. */
export interface DemoAuditorium {
  name: string;
  layout: LayoutRow[];
  format: '2D' | '3D' | 'IMAX';
}

/** A cinema with its auditoriums. */
export interface DemoCinema {
  cinema: Omit<CinemaState, 'chain'>;
  auditoriums: readonly DemoAuditorium[];
}

const letters = (count: number) => Array.from({ length: count }, (_, i) => String.fromCharCode(65 + i));
/** Rows that all have the same places, the last `premium` of them in the premium area. */
const even = (rows: number, seats: string, premium: number): LayoutRow[] =>
  letters(rows).map((name, i) => ({ name, seats: i >= rows - premium ? seats.toUpperCase() : seats }));

/** Places for wheelchairs, each beside its companion's, at both ends of a row. */
const accessible = (layout: LayoutRow[], row: number): LayoutRow[] =>
  layout.map(({ name, seats }, i) => ({ name, seats: i === row ? `wc${seats.slice(2, -2)}cw` : seats }));

/** Wider towards the back, as a fan. */
const fan = (rows: number, front: number): LayoutRow[] =>
  letters(rows).map((name, i) => {
    const places = front + 2 * Math.floor(i / 2);
    const gap = '.'.repeat(Math.floor((rows - 1) / 2) - Math.floor(i / 2));
    return { name, seats: `${gap}${(i >= rows - 2 ? 'S' : 's').repeat(places)}${gap}` };
  });

const HALL = accessible(even(10, 'sssss.sssss', 2), 9);
const LARGE = accessible(
  even(14, 'ssss.ssssssss.ssss', 3).map((row, i) => (i === 7 ? { ...row, seats: 'ssss.sshhhhss.ssss' } : row)),
  0,
);
const FAN = accessible(fan(9, 10), 0);
const LOUNGE = even(5, 'SS.SS.SS.SS', 0);
const OLD = accessible(even(8, 'ssssss.ssssss', 1), 7).map((row, i) => (i === 2 ? { ...row, seats: 'sssssx.ssssss' } : row));

const halls = (...layouts: readonly LayoutRow[][]): DemoAuditorium[] =>
  layouts.map((layout, i) => ({
    name: `Sala ${i + 1}`,
    layout,
    format: layout === LARGE ? 'IMAX' : layout === FAN ? '3D' : '2D',
  }));

/** A card from what an adult pays in the standard area: premium half as much again, the others less, in steps of `step`. */
function card(adult: number, step: number): Price[] {
  const rounded = (amount: number) => Math.round(amount / step) * step;
  const shares = { adult: 1, student: 0.8, senior: 0.75, child: 0.7 } as const;
  return (['standard', 'premium'] as const).flatMap((area) =>
    Object.entries(shares).map(([category, share]) => ({
      area,
      category: category as Price['category'],
      amountMinor: rounded(adult * share * (area === 'premium' ? 1.5 : 1)),
    })),
  );
}

/** Six cinemas in five countries and currencies, each with the tax that its tickets include. */
export const CINEMAS: readonly DemoCinema[] = [
  {
    cinema: {
      ...{ name: 'CineManzana Miraflores', city: 'Lima', country: 'PE', address: 'Av. Larco 1150, Miraflores' },
      position: { latitude: -12.1297, longitude: -77.0301 },
      ...{ timeZone: 'America/Lima', currency: 'PEN', tax: { name: 'IGV', basisPoints: 1800 } },
      amenities: ['wheelchair-access', 'parking', 'bar', 'imax'],
      priceCard: card(2400, 50),
    },
    auditoriums: halls(LARGE, HALL, FAN, LOUNGE),
  },
  {
    cinema: {
      ...{ name: 'CineManzana San Isidro', city: 'Lima', country: 'PE', address: 'Calle Las Begonias 415, San Isidro' },
      position: { latitude: -12.0931, longitude: -77.0262 },
      ...{ timeZone: 'America/Lima', currency: 'PEN', tax: { name: 'IGV', basisPoints: 1800 } },
      amenities: ['wheelchair-access', 'restaurant'],
      priceCard: card(2800, 50),
    },
    auditoriums: halls(HALL, LOUNGE, LOUNGE),
  },
  {
    cinema: {
      ...{ name: 'CineManzana Providencia', city: 'Santiago', country: 'CL', address: 'Av. Providencia 2124, Providencia' },
      position: { latitude: -33.4226, longitude: -70.6118 },
      ...{ timeZone: 'America/Santiago', currency: 'CLP', tax: { name: 'IVA', basisPoints: 1900 } },
      amenities: ['wheelchair-access', 'hearing-loop', 'wifi'],
      priceCard: card(6900, 100),
    },
    auditoriums: halls(FAN, HALL, OLD, HALL),
  },
  {
    cinema: {
      ...{ name: 'CineManzana Roma', city: 'Ciudad de México', country: 'MX', address: 'Av. Álvaro Obregón 151, Roma Norte' },
      position: { latitude: 19.4184, longitude: -99.1619 },
      ...{ timeZone: 'America/Mexico_City', currency: 'MXN', tax: { name: 'IVA', basisPoints: 1600 } },
      amenities: ['wheelchair-access', 'parking', 'dolby-atmos', 'imax'],
      priceCard: card(9500, 100),
    },
    auditoriums: halls(LARGE, FAN, HALL, OLD),
  },
  {
    cinema: {
      ...{ name: 'CineManzana Chapinero', city: 'Bogotá', country: 'CO', address: 'Carrera 13 #60-26, Chapinero' },
      position: { latitude: 4.6486, longitude: -74.0628 },
      // Tickets of cinemas are free of tax there; receipts say so.
      ...{ timeZone: 'America/Bogota', currency: 'COP', tax: { name: 'IVA', basisPoints: 0 } },
      amenities: ['wheelchair-access', 'bar'],
      priceCard: card(1800000, 50000),
    },
    auditoriums: halls(HALL, OLD, FAN),
  },
  {
    cinema: {
      ...{ name: 'CineManzana Malasaña', city: 'Madrid', country: 'ES', address: 'Calle de Fuencarral 78' },
      position: { latitude: 40.4262, longitude: -3.7015 },
      ...{ timeZone: 'Europe/Madrid', currency: 'EUR', tax: { name: 'IVA', basisPoints: 1000 } },
      amenities: ['wheelchair-access', 'hearing-loop', 'restaurant', 'dolby-atmos'],
      priceCard: card(990, 10),
    },
    auditoriums: halls(FAN, HALL, LOUNGE, OLD),
  },
];

/** Who of the staff there is, with the cinemas they act in by number; each with an account of its own. */
export const STAFF = [
  { email: 'chain@cinemanzana.example', name: 'Dirección', role: 'chain-admin', cinemas: [] },
  { email: 'manager@cinemanzana.example', name: 'Gerencia Lima', role: 'manager', cinemas: [0, 1] },
  { email: 'cashier@cinemanzana.example', name: 'Boletería Miraflores', role: 'cashier', cinemas: [0] },
  { email: 'usher@cinemanzana.example', name: 'Puerta Miraflores', role: 'usher', cinemas: [0] },
] as const;

/** Who else has an account: what the registration alone makes, and one that looks after the mesh. */
export const OTHERS = [
  { email: 'customer@cinemanzana.example', name: 'Clienta', role: 'customer' },
  { email: 'operator@cinemanzana.example', name: 'Operaciones', role: 'operator' },
] as const;
