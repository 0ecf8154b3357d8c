import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a spool lies, and how much it may hold. */
export interface SpoolOptions {
  /** Folder of the spool files; made when missing. */
  dir: string;
  /** First part of the file names: letters, digits, dashes. */
  name: string;
  /** A file is closed and the next one begun beyond this, bytes. */
  maxFileBytes: number;
  /** The oldest files are deleted beyond this, bytes. */
  maxTotalBytes: number;
  /** Lines of level debug and info are dropped while more than this waits for the disk, bytes. */
  maxQueueBytes: number;
}

interface Line {
  text: string;
  /** debug or info: the first to go when the disk is full. */
  minor: boolean;
}

/**
 * Appends lines to numbered files. Never throws at the caller and never makes it wait: a full disk costs log lines, minor ones
 * first, and those are counted. One per Node process, however many services are folded into it.
 */
export class Spool {
  /** Lines that are on disk. */
  written = 0;
  /** Lines given up, by a full disk or a full queue. */
  dropped = 0;
  private queue: Line[] = [];
  private queuedBytes = 0;
  private file?: FileHandle;
  private fileBytes = 0;
  private sequence = 0;
  private writing?: Promise<void>;
  private readonly stamp = new Date().toISOString().replace(/[-:.]/g, '');

  constructor(private readonly options: SpoolOptions) {
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  }

  /** Append one line (without its line end). It counts as written once the disk has it. */
  append(text: string, minor: boolean): void {
    if (this.queuedBytes > this.options.maxQueueBytes * (minor ? 1 : 4)) {
      this.dropped++;
      return;
    }
    this.queue.push({ text, minor });
    this.queuedBytes += text.length + 1;
    this.writing ??= this.drain().finally(() => (this.writing = undefined));
  }

  /** Wait until what was appended so far is on disk or given up. */
  async flush(): Promise<void> {
    while (this.writing) await this.writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.file?.close();
    this.file = undefined;
  }

  private async drain() {
    await new Promise((resolve) => setImmediate(resolve)); // gather what the same tick says into one write
    while (this.queue.length > 0) {
      const lines = this.queue;
      this.queue = [];
      this.queuedBytes = 0;
      try {
        await this.write(lines);
      } catch {
        await this.keepMajor(lines);
      }
    }
  }

  private async write(lines: Line[]) {
    if (!this.file || this.fileBytes > this.options.maxFileBytes) await this.nextFile();
    const chunk = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''));
    await this.file!.writeFile(chunk);
    this.fileBytes += chunk.length;
    this.written += lines.length;
  }

  /** The disk refused: try once more with the lines worth waking someone for, then let them go. */
  private async keepMajor(lines: Line[]) {
    const major = lines.filter(({ minor }) => !minor);
    this.dropped += lines.length - major.length;
    if (major.length === 0) return;
    try {
      await this.write(major);
    } catch {
      this.dropped += major.length;
    }
  }

  private async nextFile() {
    await this.file?.close();
    this.file = undefined;
    this.trim();
    const { dir, name } = this.options;
    this.file = await open(join(dir, `${name}-${this.stamp}-${process.pid}-${this.sequence++}.ndjson`), 'a', 0o600);
    this.fileBytes = 0;
  }

  private trim() {
    const files = readdirSync(this.options.dir)
      .filter((file) => file.endsWith('.ndjson'))
      .map((file) => join(this.options.dir, file))
      .map((path) => ({ path, ...(({ size, mtimeMs }) => ({ size, mtimeMs }))(statSync(path)) }))
      .sort((a, b) => b.mtimeMs - a.mtimeMs);
    let total = 0;
    for (const { path, size } of files) if ((total += size) > this.options.maxTotalBytes) rmSync(path, { force: true });
  }
}
