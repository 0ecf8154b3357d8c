import { checks } from './contract/checks.js';
import { keys, sessions } from './contract/keys.js';
import { processes } from './contract/processes.js';
import { refusals } from './contract/refusals.js';
import { foreign, services } from './contract/services.js';
import { speaker } from './contract/speak.js';
import { waiting } from './contract/waiting.js';

/** Names of one run: a registry that lives longer than a test is left as it was, and two runs do not meet. */
const nameOf = (what: string) => `t${process.pid.toString(36)}-${what}`;

/** What a stock client may rely on, whichever registry it is. @param url  of the registry */
export function registryContract(url: () => string): void {
  const ask = speaker(url);
  describe('services', () => services(ask, nameOf('web')));
  describe('checks', () => checks(ask, nameOf('checked')));
  describe('waiting for news', () => waiting(ask, nameOf('watched')));
  describe('keys', () => keys(ask, nameOf('keys')));
  describe('sessions', () => sessions(ask, nameOf('locks')));
  describe('nodes without an agent', () => foreign(ask, nameOf('foreign')));
  describe('refusals', () => refusals(ask));
}

/** What a process of ours may rely on, whichever registry it is. @param url  of the registry */
export function processContract(url: () => string): void {
  describe('a process of ours', () => processes(url, speaker(url), nameOf('process')));
}
