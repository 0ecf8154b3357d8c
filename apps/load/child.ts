import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a process of its own is told at the start. */
export interface ChildOptions {
  /** Its role's database address. */
  url: string;
  /** Settings that win over the files of config/. */
  over?: Record<string, string | number | boolean>;
}

/** A message between us and a process of ours. */
export interface Message {
  [field: string]: unknown;
  said: string;
}

/** From the sources, as in a test, a process needs the hook that reads TypeScript. */
const fromSources = import.meta.url.endsWith('.ts');
const HOOK = new URL('../../libs/testing/typescript.mjs', import.meta.url).href;

/** The arguments that this process was started with. */
export const given = <T extends ChildOptions>(): T => JSON.parse(process.argv[2]!) as T;

/** Tell the process that started us. */
export const tell = (message: Message): void => void process.send?.(message);

/** Hear what the process that started us says; without it there is nothing left to do. */
export function hear(listen: (message: Message) => void): void {
  process.on('message', listen);
  process.on('disconnect', () => process.exit(0));
}

/** A Node process of its own that does one part of the work. */
export class Child {
  private readonly process: ChildProcess;
  private readonly waiting = new Map<string, (message: Message) => void>();
  private readonly exit: Promise<unknown>;

  /**
   * @param file  beside this one, without its ending
   * @param onMessage  told what nobody waits for
   */
  constructor(
    file: string,
    options: ChildOptions,
    public onMessage: (message: Message) => void = () => undefined,
  ) {
    const at = fileURLToPath(new URL(`./${file}.${fromSources ? 'ts' : 'js'}`, import.meta.url));
    this.process = fork(at, [JSON.stringify(options)], {
      execArgv: ['--disable-warning=ExperimentalWarning', ...(fromSources ? ['--import', HOOK] : [])],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.exit = once(this.process, 'exit');
    this.process.on('message', (message: Message) => {
      const waiter = this.waiting.get(message.said);
      this.waiting.delete(message.said);
      if (waiter) waiter(message);
      else this.onMessage(message);
    });
  }

  /** Wait for the next message of that name. @throws Error when the process ends first */
  heard(said: string): Promise<Message> {
    const gone = this.exit.then(() => Promise.reject(new Error(`a process of the drill ended before it said '${said}'`)));
    return Promise.race([new Promise<Message>((done) => this.waiting.set(said, done)), gone]);
  }

  say(message: Message): void {
    if (this.process.connected) this.process.send(message);
  }

  /** Say something and wait for the answer of that name. */
  async ask(message: Message, answer: string): Promise<Message> {
    const answered = this.heard(answer);
    this.say(message);
    return answered;
  }

  /** End it as a power failure would. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exit;
  }
}
