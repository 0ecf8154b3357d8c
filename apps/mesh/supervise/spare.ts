import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What most of a host's start goes into: packages of others, which no edit changes. */
const HEAVY = /^(@nestjs\/(common|core|microservices|passport|platform-fastify|swagger|terminus)|argon2|class-.*|consul|fastify|find-my-way|jose|lru-cache|nodemailer|oidc-provider|opossum|passport.*|pg|prom-client|rate-limiter-flexible|reflect-metadata|rxjs|typeorm|undici|uuid|winston|@elastic\/ecs-.*|yaml)$/; // prettier-ignore

/**
 * A Node process that has loaded what a host needs, and waits to become one: a start begins one before all else, and `mesh dev` keeps one
 * with the packages of others, for an edit of a room, and one that has the rooms too, for an edit of a process; so that an edit is live
 * without the seconds that takes.
 */
async function wait() {
  // Whoever began it may be gone before it has loaded.
  const leave = () => process.exit(0);
  process.on('disconnect', leave);
  const root = process.argv[2] ?? '.';
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies).filter((each) => HEAVY.test(each))) {
    await import(name).catch(() => undefined); // the host will say what is wrong with it
  }
  if (process.argv[3] === 'rooms') await import('#resource').catch(() => undefined);
  process.once('message', (args: string[]) => {
    keepOrders();
    process.argv.splice(2, Infinity, ...args);
    process.title = ['host.js', ...args].join(' '); // for `ps`, as far as there is room
    void import('./host.js').then(() => process.off('disconnect', leave));
  });
}

/** What the launcher says before the host listens is said to the host when it does. */
function keepOrders() {
  const orders: unknown[] = [];
  const keep = (order: unknown) => void orders.push(order);
  process.on('message', keep);
  process.once('newListener', function listens(event) {
    if (event !== 'message') return void process.once('newListener', listens);
    process.off('message', keep);
    queueMicrotask(() => orders.forEach((order) => process.emit('message', order, undefined)));
  });
}

await wait();
