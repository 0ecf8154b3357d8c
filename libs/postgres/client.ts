import pg from 'pg';
import { runWithout } from '#context';

/** Between two probes of an idle connection, ms: a server that vanished without a word is noticed by these. */
const KEEP_ALIVE_MS = 10_000;

/**
 * A connection of its own, outside of any pool and of the context of whoever asks for it; what breaks it later is told to `onLost`, once.
 *
 * @param options  `isPipelined`: statements are sent without waiting for the answers to those before
 */
export async function openClient(
  connectionString: string,
  options: { connectTimeoutMs?: number; name?: string; isPipelined?: boolean; onLost?: (error?: Error) => void } = {},
): Promise<pg.Client> {
  const { connectTimeoutMs = 5_000, name, isPipelined = false, onLost } = options;
  const client = new pg.Client({
    connectionString,
    application_name: name,
    pipeline: isPipelined,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  });
  let lost = false;
  const lose = (error?: Error) => {
    if (lost) return;
    lost = true;
    onLost?.(error);
  };
  client.on('error', lose);
  await runWithout(() => client.connect());
  client.once('end', () => lose());
  return client;
}
