/**
 * What the front script tells people, on stderr: stdout belongs to the command (`--json`).
 * In a terminal a running line is rewritten in place; elsewhere it is said again every ten seconds.
 */
const plain = !process.stderr.isTTY || process.env.NO_COLOR !== undefined || process.env.TERM === 'dumb';
const REPEAT_MS = 10_000;

/** One whole line. @param {string} text */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** A problem the user has to mend, with its cure, and the end of this process. @param {string[]} lines @returns {never} */
export function giveUp(...lines) {
  for (const line of lines) say(line);
  process.exit(1);
}

/**
 * A line that changes while something goes on.
 *
 * @returns {{ update(text: string): void, end(text: string): void }} `end` leaves its text standing
 */
export function running() {
  let lastAt = 0;
  return {
    update(text) {
      if (!plain) process.stderr.write(`\r\u001b[K${text}`);
      else if (Date.now() - lastAt >= REPEAT_MS) {
        lastAt = Date.now();
        say(text);
      }
    },
    end(text) {
      process.stderr.write(plain ? `${text}\n` : `\r\u001b[K${text}\n`);
    },
  };
}

/** 1234 → "1.2 s". @param {number} ms */
export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
