/** What the rest of the mesh may know about auditoriums. Owned here; others `import type` it. */
export interface AuditoriumState {
  /** The chain of its cinema. */
  chain: string;
  cinema: string;
  name: string;
  /** Rows from the screen backwards. */
  layout: LayoutRow[];
  /** Counts the layouts it has had, from 1: a screening keeps the one that it was planned with. */
  layoutVersion: number;
  /** Seats that can be sold, wheelchair places among them. */
  capacity: number;
}

/**
 * One row of seats, from the left as one looks at the screen: a letter for each place. `s` a seat, `w` a wheelchair place, `c` the
 * seat of its companion, `h` a house seat that only staff sell, `x` a broken one, `.` a gap; capitals stand in the premium area. Seats
 * are numbered from 1, gaps not counted: the third seat of row F is `F3`.
 */
export interface LayoutRow {
  name: string;
  seats: string;
}

export interface AuditoriumEvents {
  'auditorium.created': AuditoriumState;
  'auditorium.changed': AuditoriumState;
  'auditorium.removed': { id: string };
}

/** One of the layouts that an auditorium has had. */
export interface LayoutState {
  auditorium: string;
  layoutVersion: number;
  layout: LayoutRow[];
  /** Seats that could be sold in it. */
  capacity: number;
}

/**
 * Each layout is said once, under a key of its own: the log keeps every key's last event for ever, so an old layout is still there
 * when the auditorium's own older events are gone.
 */
export interface LayoutEvents {
  'layout.created': LayoutState;
}
