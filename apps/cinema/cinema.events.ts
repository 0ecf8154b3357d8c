/** What the rest of the mesh may know about cinemas. Owned here; others `import type` it. */
export interface CinemaState {
  chain: string;
  name: string;
  city: string;
  /** ISO 3166-1 alpha-2, `PE`. */
  country: string;
  address: string;
  position: Position;
  /** IANA, `America/Lima`: screenings are shown in it, and business days are counted in it. */
  timeZone: string;
  /** ISO 4217, `PEN`: every amount of this cinema is in its minor units. */
  currency: string;
  tax: Tax;
  amenities: Amenity[];
  /** What a seat costs, tax included, by area and category. */
  priceCard: Price[];
}

/** WGS 84, degrees. */
export interface Position {
  latitude: number;
  longitude: number;
}

/** A tax that prices include. */
export interface Tax {
  /** As receipts call it, `IGV`. */
  name: string;
  /** Hundredths of a percent: 1800 is 18 %. */
  basisPoints: number;
}

/** What seats of an area cost a category of visitor. */
export interface Price {
  area: Area;
  category: Category;
  /** Tax included, in minor units of the cinema's currency. */
  amountMinor: number;
}

export type Area = 'standard' | 'premium';
export type Category = 'adult' | 'child' | 'student' | 'senior';
export type Amenity = 'parking' | 'wheelchair-access' | 'hearing-loop' | 'bar' | 'restaurant' | 'wifi' | 'imax' | 'dolby-atmos';

export interface CinemaEvents {
  'cinema.created': CinemaState;
  'cinema.changed': CinemaState;
  'cinema.removed': { id: string };
}
