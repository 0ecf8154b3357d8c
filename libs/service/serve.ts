import { join } from 'node:path';
import { environment } from '#config';
import { createLog, Spool } from '#log';
import type { ProcessState, ServiceDefinition } from './definition.js';
import { launch } from './launch.js';

// Before there is any configuration to take them from.
const SPOOL = { maxFileBytes: 32 * 2 ** 20, maxTotalBytes: 256 * 2 ** 20, maxQueueBytes: 8 * 2 ** 20 };

/** The spool of a Node process, named after what runs in it. */
export const openSpool = (name: string): Spool => new Spool({ dir: join(environment().dataDir, 'spool'), name, ...SPOOL });

/** One line for every wait of a process that runs alone, so that a terminal shows what it needs. */
function sayTo(log: ReturnType<typeof createLog>) {
  return ({ state, waitingFor, url }: ProcessState) => {
    if (waitingFor.length > 0) log.info('process waits', { state, waitingFor: waitingFor.join('; ') });
    else if (state === 'ready') log.info('process answers', { url });
  };
}

/** The last line of every process file. Does nothing unless that file is the one Node was started with. */
export async function serve(meta: ImportMeta, definition: ServiceDefinition): Promise<void> {
  if (!meta.main) return;
  const env = environment();
  const spool = openSpool(definition.name);
  const screen = process.stderr.isTTY ? 'pretty' : 'json';
  const log = createLog({ service: definition.name, version: env.version, environment: env.profile, spool, screen });
  const end = async (code: number) => {
    await spool.close();
    process.exit(code);
  };
  process.on('uncaughtException', (error) => {
    log.error('process ends by an uncaught error', { error });
    void end(1);
  });
  try {
    const running = await launch(definition, { log, port: env.port, ofNode: true, alone: true, report: sayTo(log) });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void running.close().then(() => end(0)));
    await running.ready;
  } catch (error) {
    log.error('process ends: it cannot start', { error });
    await end(1);
  }
}
