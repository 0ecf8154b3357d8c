import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What most of a host's start goes into: packages of others, which no edit changes. */
const HEAVY = /^(@nestjs\/(common|core|microservices|passport|platform-fastify|swagger|terminus)|argon2|class-.*|consul|fastify|find-my-way|jose|lru-cache|nodemailer|oidc-provider|opossum|passport.*|pg|prom-client|rate-limiter-flexible|reflect-metadata|rxjs|typeorm|undici|uuid|winston|@elastic\/ecs-.*|yaml)$/; // prettier-ignore

/**
 * A Node process that has loaded what a host needs, and waits to become one: `mesh dev` keeps one with the packages of others, for an
 * edit of a room, and one that has the rooms too, for an edit of a process; so that an edit is live without the seconds that takes.
 */
async function wait() {
  const root = process.argv[2] ?? '.';
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies).filter((each) => HEAVY.test(each))) {
    await import(name).catch(() => undefined); // the host will say what is wrong with it
  }
  if (process.argv[3] === 'rooms') await import('#resource').catch(() => undefined);
  process.on('disconnect', () => process.exit(0));
  process.once('message', (args: string[]) => {
    process.removeAllListeners('disconnect');
    process.argv.splice(2, Infinity, ...args);
    void import('./host.js');
  });
}

await wait();
