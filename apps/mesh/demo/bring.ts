import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from '#config';
import { factsOf, filmOf, publicFilms } from '../import/films.js';
import { recordsOf } from '../import/records.js';
import { renewedToken } from '../operate/token.js';
import { type Account, makeAccounts } from './accounts.js';
import { CHAIN, CINEMAS, type DemoCinema } from './chain.js';
import { type PlannedScreening, programme, type ScreenedFilm } from './programme.js';
import { PublicApi } from '../wire/public.js';

/** A fortnight, days: as far as people look ahead. */
const DAYS = 14;
/** Films on screen at once: a fortnight's programme of a city. */
const FILMS = 40;
/** Small, with rests: whoever looks at the films meanwhile shall not wait for the screenings. */
const BATCH_ROWS = 25;
const REST_MS = 100;
/** For the last film's event to reach those who list films, and between two looks, ms. */
const FILMS_WITHIN_MS = 30_000;
const LOOK_MS = 300;

/** How far it is. */
export interface DemoProgress {
  what: 'cinemas' | 'screenings';
  done: number;
  total: number;
}

/** What there is at the end. */
export interface DemoResult {
  cinemas: number;
  auditoriums: number;
  screenings: number;
  accounts: Account[];
}

/** A film as it is found by title and day. */
interface Wanted {
  title: string;
  releaseOn: string;
}

/** The best-known films of the public set that have a running time, and the one that its import ends with. */
async function publicSet(): Promise<{ favourites: Wanted[]; last: Wanted }> {
  const text = await readFile(publicFilms(), 'utf8');
  const facts = factsOf(text, new Date().getUTCFullYear());
  const votes = (values: Readonly<Record<string, unknown>>) => Number(values['IMDB Votes'] ?? 0);
  const records = recordsOf(text);
  const wanted = (values: Readonly<Record<string, unknown>>) => filmOf(values, facts).movie as unknown as Wanted;
  const favourites = records
    .flatMap(({ values }) => (values && typeof values['Running Time min'] === 'number' ? [values] : []))
    .sort((a, b) => votes(b) - votes(a))
    .slice(0, FILMS)
    .map(wanted);
  return { favourites, last: wanted(records.at(-1)!.values!) };
}

/** Brings the demonstration's chain in by the public API, as its people would; what is there already is left alone. */
export class DemoChain {
  private readonly api: PublicApi;
  private screenings = 0;
  private auditoriums = 0;

  constructor(
    env: Environment,
    private readonly tell: (progress: DemoProgress) => void,
    private readonly now = Temporal.Now.instant(),
  ) {
    this.api = new PublicApi(env.runtime?.gateway ?? env.publicUrl, renewedToken(env));
  }

  /** @throws Error when the mesh refuses something, or stays away */
  async bring(): Promise<DemoResult> {
    const films = await this.films();
    if (films.length === 0) throw new Error('the films of the demonstration are not there: npx mesh import movies');
    const chain = await this.made('/api/chains', CHAIN, ({ name }) => name === CHAIN.name);
    const cinemas: string[] = [];
    const halls: { hall: string; at: DemoCinema; n: number }[] = [];
    for (const at of CINEMAS) {
      const { id } = await this.cinema(chain.id, at);
      cinemas.push(id);
      const known = await this.api.list(`/api/auditoriums?cinema=${id}`);
      for (const [n, { name, layout }] of at.auditoriums.entries()) {
        const found = known.find((auditorium) => auditorium.name === name) as { id: string } | undefined;
        const hall = found ?? (await this.api.post<{ id: string }>('/api/auditoriums', { cinema: id, name, layout }, '/cinema'));
        halls.push({ hall: hall.id, at, n });
        this.auditoriums++;
      }
      this.tell({ what: 'cinemas', done: cinemas.length, total: CINEMAS.length });
    }
    const accounts = await makeAccounts(this.api, chain.id, cinemas);
    await this.plan(halls, films);
    return { cinemas: cinemas.length, auditoriums: this.auditoriums, screenings: this.screenings, accounts };
  }

  private cinema(chain: string, { cinema }: DemoCinema): Promise<{ id: string }> {
    return this.made('/api/cinemas', { chain, ...cinema }, ({ name }) => name === cinema.name, '/chain');
  }

  private async made(
    path: string,
    body: object,
    isIt: (item: Record<string, unknown>) => boolean,
    ...early: string[]
  ): Promise<{ id: string }> {
    const found = (await this.api.list(path)).find(isIt);
    return found ? { id: String(found.id) } : this.api.post(path, body, ...early);
  }

  /** The films to be screened, once all that were imported can be seen: until then those who look at them have the machine. */
  private async films(): Promise<ScreenedFilm[]> {
    const { favourites, last } = await publicSet();
    const until = performance.now() + FILMS_WITHIN_MS;
    while (!(await this.film(last)) && performance.now() < until) await sleep(LOOK_MS);
    const found = await Promise.all(favourites.map((wanted) => this.film(wanted)));
    return found.filter((film) => film !== undefined).filter(({ minutes, retired }) => minutes && !retired);
  }

  private async film({ title, releaseOn }: Wanted): Promise<(ScreenedFilm & { retired: boolean }) | undefined> {
    const [film] = await this.api.list(`/api/movies?title=${encodeURIComponent(title)}&releaseOn=${releaseOn}`);
    return film as (ScreenedFilm & { retired: boolean }) | undefined;
  }

  private async plan(
    halls: readonly { hall: string; at: DemoCinema; n: number }[],
    films: readonly ScreenedFilm[],
  ): Promise<void> {
    const all = halls.flatMap(({ hall: auditorium, at, n }) => {
      const { timeZone } = at.cinema;
      const { format } = at.auditoriums[n]!;
      return programme({ auditorium, format, timeZone, now: this.now, days: DAYS, films });
    });
    // The days that are near come first: they are what is looked at.
    all.sort((a, b) => a.localStartAt.localeCompare(b.localStartAt));
    for (let from = 0; from < all.length; from += BATCH_ROWS) {
      await this.send(all.slice(from, from + BATCH_ROWS));
      this.tell({ what: 'screenings', done: this.screenings, total: all.length });
      await sleep(REST_MS);
    }
  }

  private async send(screenings: readonly PlannedScreening[]): Promise<void> {
    const { results } = await this.api.post<{ results: { status: string }[] }>('/api/screenings/import', { screenings });
    // A refused one stands where somebody planned another: theirs stays.
    this.screenings += results.length;
  }
}
