import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const file = (secretsDir: string, process: string) => join(secretsDir, `db-${process}`);

/** A process's own password, made on first use, readable by us alone. */
export function makePassword(secretsDir: string, process: string): string {
  mkdirSync(secretsDir, { recursive: true, mode: 0o700 });
  if (!existsSync(file(secretsDir, process)))
    writeFileSync(file(secretsDir, process), `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  return readPassword(secretsDir, process);
}

/** @throws Error when the database was never prepared for that process from here */
export function readPassword(secretsDir: string, process: string): string {
  try {
    return readFileSync(file(secretsDir, process), 'utf8').trim();
  } catch (error) {
    throw new Error(`there is no password of ${process} in ${secretsDir}: run npx mesh db prepare`, { cause: error });
  }
}

const ITERATIONS = 4096;

/**
 * What the server keeps instead of a password. It is made here so that the password is in no statement and no server log.
 *
 * @source RFC 5802 §3, RFC 7677
 */
export function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const mac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(mac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${mac('Server Key').toString('base64')}`;
}
