import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';

/** More than this many errors are one mistake seen from many places. */
const MOST_LINES = 12;

/** Checks the types of everything in the background; a newer check replaces one that is under way. */
export class TypeCheck {
  private child?: ChildProcess;
  private wasWrong = false;

  constructor(
    private readonly root: string,
    private readonly node: string,
    private readonly say: (text: string) => void,
  ) {}

  start(): void {
    this.stop();
    const compiler = join(this.root, 'node_modules/typescript7/bin/tsc');
    const child = spawn(this.node, [compiler, '-p', 'tsconfig.json', '--noEmit', '--pretty', 'false'], { cwd: this.root, stdio: ['ignore', 'pipe', 'ignore'], windowsHide: true }); // prettier-ignore
    this.child = child;
    // The mesh goes first: an edit that is waited for must not wait for the types of the one before.
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.on('close', (code) => {
      if (this.child === child) this.tell(code === 0, said.trim().split('\n'));
    });
  }

  stop(): void {
    const { child } = this;
    this.child = undefined;
    child?.kill();
  }

  private tell(isWell: boolean, lines: string[]) {
    if (isWell && this.wasWrong) this.say('types are well again');
    if (!isWell) {
      for (const line of lines.slice(0, MOST_LINES)) this.say(`types: ${line}`);
      if (lines.length > MOST_LINES) this.say(`types: … and ${lines.length - MOST_LINES} more lines: npm run check`);
    }
    this.wasWrong = !isWell;
  }
}
