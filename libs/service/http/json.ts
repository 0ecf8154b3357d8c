import { invalidInput, Problem } from '#problem';

/** How much of a JSON text is read. */
export interface JsonLimits {
  /** Objects and lists within each other; a list of objects has depth 2. */
  depth: number;
  /** Members of all objects and lists together; without it only the body's size limits them. */
  members?: number;
}

/** An object or a list that is still open, and where in it we are. */
interface Frame {
  isObject: boolean;
  name: string | number;
}

type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | 'comma';

// Names that mean something on every JavaScript object: one of them in data is an attack or an accident waiting for its day.
const isDangerous = (name: string) => name === 'prototype' || Object.hasOwn(Object.prototype, name);

const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;
/** Names longer than this are cut out of pointers, characters: a problem must not echo a whole body. */
const LONGEST_NAME = 200;

/** An RFC 6901 pointer to the place that `names` lead to. */
export const pointerTo = (names: readonly (string | number)[]): string =>
  names.map((name) => `/${String(name).slice(0, LONGEST_NAME).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/**
 * The value of a JSON text, found safe before it is built: the engine's own parser takes seconds over five million brackets,
 * and keeps a member called `__proto__`.
 *
 * @throws Problem `invalid-json` (400) with `position`, `line`, `column` where the text breaks
 * @throws Problem `invalid-input` (400) with a pointer to what lies too deep, is too much, or has a forbidden name
 * @source RFC 8259
 */
export function parseJson(text: string, limits: JsonLimits): unknown {
  new Scan(text, limits).run();
  return JSON.parse(text) as unknown;
}

/** One pass over the text that accepts what JSON.parse accepts, within the limits. */
class Scan {
  private readonly open: Frame[] = [];
  private at = 0;
  private members = 0;
  private expected: Expected = 'value';

  constructor(
    private readonly text: string,
    private readonly limits: JsonLimits,
  ) {}

  run(): void {
    for (;;) {
      this.skipSpace();
      const top = this.open.at(-1);
      if (!top && this.expected === 'comma') {
        if (this.at < this.text.length) this.broken();
        return;
      }
      if (this.expected === 'comma') this.afterValue(top!);
      else if (this.expected.startsWith('name')) this.name(top!);
      else this.value(top);
    }
  }

  private value(top: Frame | undefined): void {
    const char = this.text[this.at];
    if (char === ']' && this.expected === 'value or ]') return this.close();
    if (top && !top.isObject) this.count();
    if (char === '{') return this.push({ isObject: true, name: '' }, 'name or }');
    if (char === '[') return this.push({ isObject: false, name: 0 }, 'value or ]');
    if (char === '"') this.skipString();
    else this.skipScalar();
    this.expected = 'comma';
  }

  private name(top: Frame): void {
    if (this.text[this.at] === '}' && this.expected === 'name or }') return this.close();
    const from = this.at;
    const isEscaped = this.skipString();
    const name = this.text.slice(from, this.at);
    top.name = isEscaped ? (JSON.parse(name) as string) : name.slice(1, -1);
    if (isDangerous(top.name)) this.refuse(`a member must not be called '${top.name}'`);
    this.count();
    this.skipSpace();
    if (this.text[this.at] !== ':') this.broken();
    this.at++;
    this.expected = 'value';
  }

  private afterValue(top: Frame): void {
    const char = this.text[this.at];
    if (char === (top.isObject ? '}' : ']')) return this.close();
    if (char !== ',') this.broken();
    this.at++;
    if (typeof top.name === 'number') top.name++;
    this.expected = top.isObject ? 'name' : 'value';
  }

  private push(frame: Frame, expected: Expected): void {
    if (this.open.length >= this.limits.depth) this.refuse(`lies deeper than ${this.limits.depth} levels`);
    this.open.push(frame);
    this.at++;
    this.expected = expected;
  }

  private close(): void {
    this.open.pop();
    this.at++;
    this.expected = 'comma';
  }

  private count(): void {
    const { members = Infinity } = this.limits;
    if (++this.members > members) this.refuse(`here the body has more than ${members} members`);
  }

  private skipSpace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  private skipScalar(): void {
    SCALAR.lastIndex = this.at;
    if (!SCALAR.test(this.text)) this.broken();
    this.at = SCALAR.lastIndex;
  }

  /** @returns whether it holds escapes */
  private skipString(): boolean {
    if (this.text[this.at] !== '"') this.broken();
    const from = this.at;
    let [isEscaped, isUnicode] = [false, false];
    for (this.at++; ; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === 0x22) break;
      // NaN is the end of the text, and below a space are control characters.
      if (!(code >= 0x20)) this.broken();
      if (code !== 0x5c) continue;
      ESCAPE.lastIndex = this.at;
      if (!ESCAPE.test(this.text)) this.broken();
      isEscaped = true;
      isUnicode ||= this.text[this.at + 1] === 'u';
      this.at = ESCAPE.lastIndex - 1;
    }
    this.at++;
    if (isUnicode) this.storable(JSON.parse(this.text.slice(from, this.at)) as string);
    return isEscaped;
  }

  // PostgreSQL stores neither, and answers with an error of its own.
  private storable(text: string): void {
    if (text.includes('\0')) this.refuse('must not contain the character U+0000');
    if (!text.isWellFormed()) this.refuse('must not contain half a surrogate pair');
  }

  private refuse(detail: string): never {
    throw invalidInput([{ pointer: pointerTo(this.open.map(({ name }) => name)), detail }]);
  }

  private broken(): never {
    const before = this.text.slice(0, this.at).split('\n');
    const [line, column] = [before.length, before.at(-1)!.length + 1];
    const found = this.at < this.text.length ? `'${this.text[this.at]}' was not expected` : 'the text ends too early';
    const extra = { position: this.at, line, column };
    throw new Problem('invalid-json', 400, `the body is no JSON: ${found} at line ${line}, column ${column}`, extra);
  }
}
