import fc from 'fast-check';
import { Problem } from '#problem';
import { parseJson } from './json.js';

const limits = { depth: 64, members: 1000 };
const refusal = (text: string, own = limits): Problem => {
  try {
    parseJson(text, own);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error(`was accepted: ${text.slice(0, 80)}`);
};
const firstError = (text: string, own = limits) => (refusal(text, own).extra.errors as { pointer: string; detail: string }[])[0]!;

describe('JSON', () => {
  it('is read as the engine reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.integer({ min: 0, max: 3 }), (text, indent) => {
        fc.pre(!/__proto__|constructor|prototype|toString|valueOf|toLocaleString|hasOwn|isProto|propertyIs|__/.test(text));
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        expect(parseJson(spaced, { depth: 64 })).toEqual(JSON.parse(spaced));
      }),
    );
  });

  it('breaks for us exactly when it breaks for the engine, never with anything but a problem', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '\\',
      '\\u00e9',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'nul',
      ' ',
      '\n',
      '\t',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        let isGood = true;
        try {
          JSON.parse(text);
        } catch {
          isGood = false;
        }
        if (isGood) expect(parseJson(text, limits)).toEqual(JSON.parse(text));
        else expect(refusal(text).type).toBe('invalid-json');
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['{"a":}', 5],
    ['{"a":1', 6],
    ['', 0],
    ['{"a":1}x', 7],
    ['[1,]', 3],
    ['{"a":"\u0001"}', 6],
    ['01', 0],
    ['{\n  "a" 1}', 8],
  ])('says where %j breaks', (text, position) => {
    expect(refusal(text)).toMatchObject({ status: 400, type: 'invalid-json', extra: { position } });
  });

  it('names line and column', () => {
    expect(refusal('{\n  "a" 1}').extra).toMatchObject({ line: 2, column: 7 });
  });

  it('is refused below the deepest level, at once, however deep', () => {
    expect(parseJson('['.repeat(64) + ']'.repeat(64), limits)).toBeDefined();
    expect(firstError(`{"title":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)).toEqual({
      pointer: `/title${'/0'.repeat(63)}`,
      detail: 'lies deeper than 64 levels',
    });
    const started = performance.now();
    refusal('['.repeat(5_000_000));
    expect(performance.now() - started).toBeLessThan(500);
  });

  it('is refused with too many members', () => {
    expect(firstError('{"list":[1,2,3]}', { depth: 9, members: 3 })).toMatchObject({ pointer: '/list/2' });
    expect(parseJson('{"list":[1,2]}', { depth: 9, members: 3 })).toEqual({ list: [1, 2] });
  });

  it.each(['__proto__', 'constructor', 'prototype', 'toString', '__pro\\u0074o__'])(
    'is refused with a member called %s',
    (name) => {
      const read = JSON.parse(`"${name}"`) as string;
      expect(firstError(`{"a/b":[{"${name}":{"isAdmin":true}}]}`)).toEqual({
        pointer: `/a~1b/0/${read}`,
        detail: `a member must not be called '${read}'`,
      });
      expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
    },
  );

  it('holds no text that a database cannot store', () => {
    expect(firstError(String.raw`{"title":"a\u0000b"}`)).toEqual({
      pointer: '/title',
      detail: 'must not contain the character U+0000',
    });
    expect(firstError(String.raw`["x","\ud83c"]`)).toEqual({ pointer: '/1', detail: 'must not contain half a surrogate pair' });
    expect(parseJson(String.raw`"\ud83c\udf4e \\u0000"`, limits)).toBe('🍎 \\u0000');
  });

  it('is not echoed whole', () => {
    expect(refusal(`{"${'x'.repeat(1e6)}":${'['.repeat(100)}`).detail.length).toBeLessThan(1000);
  });
});
