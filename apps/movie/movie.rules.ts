import type { Rating } from './movie.events.js';

/** Every rating there is, from the youngest audience to the oldest, then those that say nothing of age. */
export const RATINGS: readonly Rating[] = ['G', 'PG', 'PG-13', 'R', 'NC-17', 'Not Rated', 'Open'];
