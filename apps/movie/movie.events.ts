/** What the rest of the mesh may know about movies. Owned here; others `import type` it. */
export interface MovieState {
  title: string;
  /** Running time, minutes; a movie without one cannot be screened. */
  minutes?: number;
  /** Who may see it, as the Motion Picture Association rated it. */
  rating?: Rating;
  /** The day of its first public showing, `1994-09-23`. */
  releaseOn: string;
  genres: string[];
  director?: string;
  synopsis?: string;
  /** True once it can get no new screenings. */
  retired: boolean;
}

export type Rating = 'G' | 'PG' | 'PG-13' | 'R' | 'NC-17' | 'Not Rated' | 'Open';

export interface MovieEvents {
  'movie.created': MovieState;
  'movie.changed': MovieState;
  'movie.removed': { id: string };
}
