import type { ProcessState } from '#service';

/** What the launcher asks of a host, over the channel between them. */
export type Order =
  /** Start these processes, all at once. */
  | { do: 'launch'; names: string[] }
  /** Drain and close these; with the last ones the host ends. `hurry`: nobody is left who could be sent elsewhere. */
  | { do: 'close'; names: string[]; hurry: boolean; last: boolean };

/** What a host tells the launcher. */
export type Word =
  /** The code of every process is loaded, but for those that failed: orders take effect at once. */
  | { say: 'loaded'; failures: { name: string; reason: string }[] }
  | { say: 'state'; state: ProcessState }
  /** A process could not be started, or its code could not be loaded; the host tries again by itself. */
  | { say: 'failed'; name: string; reason: string }
  | { say: 'closed'; name: string };

/** One process in a host; without a port it takes its own or any free one. */
export interface Seat {
  name: string;
  port?: number;
}

/** What a host is told when it is started. */
export interface HostOptions {
  seats: Seat[];
  /** Which of several instances on this machine: 0, 1, … */
  slot: number;
  /** How log lines appear on its stderr, beside the spool. */
  screen: 'pretty' | 'json' | 'none';
}

/** The command line of a host. It reads well in `ps`: `host.js gateway:8080 movie-query --slot=1`. */
export function hostArguments({ seats, slot, screen }: HostOptions): string[] {
  const words = seats.map(({ name, port }) => (port === undefined ? name : `${name}:${port}`));
  return [...words, ...(slot ? [`--slot=${slot}`] : []), ...(screen === 'none' ? [] : [`--screen=${screen}`])];
}

/** What that command line means. */
export function hostOptions(args: readonly string[]): HostOptions {
  const flag = (name: string) => args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const seats = args
    .filter((arg) => !arg.startsWith('--'))
    .map((arg) => arg.split(':'))
    .map(([name = '', port]) => (port === undefined ? { name } : { name, port: Number(port) }));
  const screen = flag('screen');
  return { seats, slot: Number(flag('slot') ?? 0), screen: screen === 'pretty' || screen === 'json' ? screen : 'none' };
}
