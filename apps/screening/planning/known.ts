import { Column, Entity } from 'typeorm';
import { learns, type Learnt, ViewRow } from '#resource';
import type { AuditoriumEvents, AuditoriumState, LayoutRow } from '../../auditorium/auditorium.events.js';
import type { ChainEvents, ChainState } from '../../chain/chain.events.js';
import type { CinemaEvents, CinemaState, Price, Tax } from '../../cinema/cinema.events.js';
import type { MovieEvents, MovieState } from '../../movie/movie.events.js';
import type { SalesPolicy } from '../screening.events.js';

/** What a screening needs to know of a film. */
@Entity('known_movie')
export class KnownMovie extends ViewRow {
  @Column('varchar') title: string;
  @Column('int', { nullable: true }) minutes?: number;
  @Column('varchar', { nullable: true }) rating?: string;
  @Column() retired: boolean;
}

/** What it needs to know of an auditorium. */
@Entity('known_auditorium')
export class KnownAuditorium extends ViewRow {
  @Column('uuid') cinema: string;
  @Column('varchar') name: string;
  @Column('jsonb') layout: LayoutRow[];
  @Column('int') layoutVersion: number;
  @Column('int') capacity: number;
}

/** What it needs to know of a cinema. */
@Entity('known_cinema')
export class KnownCinema extends ViewRow {
  @Column('uuid') chain: string;
  @Column('varchar') name: string;
  @Column('varchar') city: string;
  @Column('varchar') timeZone: string;
  @Column('varchar') currency: string;
  @Column('jsonb') tax: Tax;
  @Column('jsonb') priceCard: Price[];
}

/** What it needs to know of a chain. */
@Entity('known_chain')
export class KnownChain extends ViewRow {
  @Column('jsonb') policy: SalesPolicy;
}

const movie = ({ title, minutes, rating, retired }: MovieState) => ({ title, minutes, rating, retired });
const auditorium = ({ cinema, name, layout, layoutVersion, capacity }: AuditoriumState) => ({
  ...{ cinema, name, layout, layoutVersion, capacity },
});
const cinema = ({ chain, name, city, timeZone, currency, tax, priceCard }: CinemaState) => ({
  ...{ chain, name, city, timeZone, currency, tax, priceCard },
});
const chain = ({ holdSeconds, seatsPerPurchase, seatsHeldAtOnce, refundUntilMinutes }: ChainState) => ({
  policy: { holdSeconds, seatsPerPurchase, seatsHeldAtOnce, refundUntilMinutes },
});
const gone = () => null;

/** The tables of what a screening is planned from. */
export const known: readonly Learnt[] = [
  learns<KnownMovie, MovieEvents>(KnownMovie, { 'movie.created': movie, 'movie.changed': movie, 'movie.removed': gone }),
  learns<KnownAuditorium, AuditoriumEvents>(KnownAuditorium, {
    ...{ 'auditorium.created': auditorium, 'auditorium.changed': auditorium, 'auditorium.removed': gone },
  }),
  learns<KnownCinema, CinemaEvents>(KnownCinema, {
    ...{ 'cinema.created': cinema, 'cinema.changed': cinema, 'cinema.removed': gone },
  }),
  learns<KnownChain, ChainEvents>(KnownChain, { 'chain.created': chain, 'chain.changed': chain, 'chain.removed': gone }),
];
