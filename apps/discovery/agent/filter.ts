import { Refusal } from './input.js';

type Json = unknown;
type Test = (row: Json) => boolean;

const refused = (why: string) => new Refusal(500, `Failed to create boolean expression evaluator: ${why}`);

const TOKEN = /\s*(?:([()])|(==|!=)|"((?:[^"\\]|\\.)*)"|`([^`]*)`|([A-Za-z0-9_/.[\]"-]+?)(?=[\s()=!]|$))/y;

interface Token {
  kind: 'sign' | 'word' | 'text';
  text: string;
  at: number;
}

function tokens(expression: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = expression.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(expression);
    if (!match) throw refused(`1:${at + 1} (${at}): no match found`);
    const [, bracket, operator, quoted, raw, word] = match;
    if (bracket ?? operator) found.push({ kind: 'sign', text: (bracket ?? operator)!, at });
    else if (word !== undefined) found.push({ kind: 'word', text: word, at });
    else found.push({ kind: 'text', text: raw ?? quoted!.replace(/\\(["\\])/g, '$1'), at });
  }
  return found;
}

/** `Service.Meta["a b"].x` in its parts. */
const partsOf = (selector: string): string[] =>
  [...selector.matchAll(/\["([^"]*)"\]|([^.[\]]+)/g)].map(([, quoted, plain]) => quoted ?? plain!);

/** All values at `parts`: a list of objects on the way stands for each of them. */
function valuesAt(value: Json, [first, ...rest]: string[]): Json[] {
  if (first === undefined) return [value];
  if (Array.isArray(value)) return value.flatMap((one) => valuesAt(one, [first, ...rest]));
  if (typeof value !== 'object' || value === null) return [];
  const next = Object.hasOwn(value, first) ? (value as Record<string, Json>)[first] : undefined;
  return next === undefined ? [] : valuesAt(next, rest);
}

const isEmpty = (value: Json) =>
  value === undefined || value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

/** A reader of go-bexpr's language, as far as a row of the registry needs it. */
class Parser {
  private next = 0;

  constructor(
    private readonly list: Token[],
    private readonly roots: readonly string[],
    private readonly length: number,
  ) {}

  whole(): Test {
    const test = this.either();
    if (this.next < this.list.length) throw this.unexpected();
    return test;
  }

  private either(): Test {
    const left = this.both();
    if (!this.take('or')) return left;
    const right = this.either();
    return (row) => left(row) || right(row);
  }

  private both(): Test {
    const left = this.one();
    if (!this.take('and')) return left;
    const right = this.both();
    return (row) => left(row) && right(row);
  }

  private one(): Test {
    if (this.take('not')) {
      const test = this.one();
      return (row) => !test(row);
    }
    if (this.take('(')) {
      const test = this.either();
      if (!this.take(')')) throw this.unexpected();
      return test;
    }
    return this.comparison();
  }

  private comparison(): Test {
    const left = this.operand();
    if (this.take('==')) return this.equals(left, this.operand().text);
    if (this.take('!=')) return negate(this.equals(left, this.operand().text));
    if (this.take('contains')) return this.within(this.operand().text, left);
    if (this.take('in')) return this.within(left.text, this.operand());
    if (this.take('not')) {
      if (!this.take('in')) throw this.unexpected();
      return negate(this.within(left.text, this.operand()));
    }
    if (!this.take('is')) throw this.unexpected();
    const no = this.take('not');
    if (!this.take('empty')) throw this.unexpected();
    const at = this.selector(left);
    const test: Test = (row) => valuesAt(row, at).every(isEmpty);
    return no ? negate(test) : test;
  }

  private equals(left: Token, wanted: string): Test {
    const at = this.selector(left);
    return (row) => {
      const values = valuesAt(row, at);
      if (values.some((value) => typeof value === 'object')) {
        throw refused(`Invalid match operator "Equal" for selector "${left.text}"`);
      }
      return values.some((value) => String(value) === wanted);
    };
  }

  private within(wanted: string, right: Token): Test {
    const at = this.selector(right);
    const has = (value: Json) =>
      Array.isArray(value) || typeof value === 'string'
        ? value.includes(wanted)
        : typeof value === 'object' && value !== null && Object.hasOwn(value, wanted);
    return (row) => valuesAt(row, at).some(has);
  }

  private selector({ text }: Token): string[] {
    const parts = partsOf(text);
    if (!this.roots.includes(parts[0] ?? '')) throw refused(`Selector "${parts[0] ?? ''}" is not valid`);
    return parts;
  }

  private operand(): Token {
    const token = this.list[this.next];
    if (!token || token.kind === 'sign') throw this.unexpected();
    this.next += 1;
    return token;
  }

  private take(word: string): boolean {
    const token = this.list[this.next];
    if (!token || token.kind === 'text' || token.text !== word) return false;
    this.next += 1;
    return true;
  }

  private unexpected() {
    const at = this.list[this.next]?.at ?? this.length;
    return refused(`1:${at + 1} (${at}): no match found`);
  }
}

const negate =
  (test: Test): Test =>
  (row) =>
    !test(row);

/**
 * A test for the rows of an answer: equality, `in`, `contains`, `is empty`, joined by `and`, `or`, `not`, brackets.
 *
 * @param roots  what a selector may begin with
 * @throws Refusal when the expression cannot be read or names something else
 * @source go-bexpr, the language of Consul's `filter`
 */
export function filter(expression: string | undefined, roots: readonly string[]): Test {
  if (!expression?.trim()) return () => true;
  return new Parser(tokens(expression), roots, expression.length).whole();
}

/** What a selector may begin with, for each kind of row. */
export const SERVICE = [
  'ID',
  'Service',
  'Tags',
  'Address',
  'TaggedAddresses',
  'Meta',
  'Port',
  'Weights',
  'EnableTagOverride',
  'Kind',
];
export const CHECK = ['Node', 'CheckID', 'Name', 'Status', 'Notes', 'Output', 'ServiceID', 'ServiceName', 'ServiceTags', 'Type'];
export const NODE = ['ID', 'Node', 'Address', 'Datacenter', 'TaggedAddresses', 'Meta'];
export const HEALTH = ['Node', 'Service', 'Checks'];
export const CATALOG_SERVICE = [
  ...[
    'ID',
    'Node',
    'Address',
    'Datacenter',
    'TaggedAddresses',
    'NodeMeta',
    'ServiceKind',
    'ServiceID',
    'ServiceName',
    'ServiceTags',
  ],
  ...['ServiceAddress', 'ServiceTaggedAddresses', 'ServiceWeights', 'ServiceMeta', 'ServicePort', 'ServiceEnableTagOverride'],
];
