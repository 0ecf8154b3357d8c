import { Type } from 'class-transformer';
import { IsArray, IsInt, IsOptional, IsString, Matches, Min, ValidateNested } from 'class-validator';
import fc from 'fast-check';
import { Column, Entity } from 'typeorm';
import { Problem } from '#problem';
import { fingerprint, fromCursor, toCursor } from './list/cursor.js';
import { mergePatch, readInput, readPatch } from './input.js';
import { filtersOf, filterSql, readParameters } from './list/list.js';
import { inputSchema } from './openapi/schema.js';
import { CommandController, commandService, listShape, Row, Shape, shapes } from './resource.js';
import { inTheEnd } from './projection.js';
import { entityTags, isUnchanged } from './row.js';

class Area {
  @IsString() name: string;
  @IsInt() @Min(1) seats: number;
}

@Entity('hall')
class Hall extends Row {
  static override readonly shown = ['name', 'areas'];
  @Column() @IsString() name: string;
  @Column('jsonb', { nullable: true }) @IsOptional() @ValidateNested() @Type(() => Area) best?: Area;
  @Column('jsonb') @IsArray() @ValidateNested({ each: true }) @Type(() => Area) areas: Area[] = [];
  @Column({ select: false }) secret: string;
}

const problem = async (run: () => unknown): Promise<Problem> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};
const errors = async (run: () => unknown) => (await problem(run)).extra.errors;
const json = () => fc.jsonValue({ maxDepth: 4 });

describe('a merge patch', () => {
  // RFC 7396, appendix A.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('of %j by %j is %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  it('twice is as good as once, and leaves what it was given alone', () => {
    fc.assert(
      fc.property(json(), json(), (target, patch) => {
        const before = JSON.stringify([target, patch]);
        const once = mergePatch(target, patch);
        expect(mergePatch(once, patch)).toEqual(once);
        expect(JSON.stringify([target, patch])).toBe(before);
      }),
    );
  });

  it('that is empty changes nothing', async () => {
    const hall = Object.assign(new Hall(), { id: 'x', version: 1, name: 'One' });
    expect(await readPatch<Hall>(Hall, hall, {})).toEqual({});
  });

  it('reaches into objects, and says where it goes wrong there', async () => {
    const hall = Object.assign(new Hall(), { name: 'One', best: { name: 'Loge', seats: 8 } });
    expect(await readPatch<Hall>(Hall, hall, { best: { seats: 6 } })).toEqual({ best: { name: 'Loge', seats: 6 } });
    expect(await readPatch<Hall>(Hall, hall, { best: null, areas: null })).toEqual({ best: null, areas: [] });
    expect(await errors(() => readPatch<Hall>(Hall, hall, { best: { seats: null, 'a/b~': 1 } }))).toEqual([
      { pointer: '/best/a~1b~0', detail: 'is not known, or cannot be set' },
      { pointer: '/best/seats', detail: 'is required' },
    ]);
  });
});

describe('input', () => {
  it('is refused with a pointer to each wrong place, however deep', async () => {
    const body = {
      areas: [
        { name: 'A', seats: 1 },
        { name: 7, seats: 0 },
      ],
      secret: 'mine',
    };
    expect(await errors(() => readInput(Hall, body))).toEqual([
      { pointer: '/secret', detail: 'is not known, or cannot be set' },
      { pointer: '/name', detail: 'is required' },
      { pointer: '/areas/1/name', detail: 'must be a string' },
      { pointer: '/areas/1/seats', detail: 'must not be less than 1' },
    ]);
  });

  it('of any shape is read or refused, never worse', async () => {
    await fc.assert(
      fc.asyncProperty(json(), async (body) => {
        const read = await readInput(Hall, body).catch((error: unknown) => error);
        expect(read instanceof Hall || (read instanceof Problem && read.status === 400)).toBe(true);
      }),
    );
  });

  it('of nonsense is not answered with more nonsense', async () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x${i}`, 1]));
    expect(await errors(() => readInput(Hall, many))).toHaveLength(50);
  });

  it('is described as a schema, nested classes too', () => {
    const area = { type: 'object', properties: { name: { type: 'string' }, seats: { type: 'integer', minimum: 1 } } };
    expect(inputSchema(Hall)).toMatchObject({
      additionalProperties: false,
      required: ['name'],
      properties: { name: { type: 'string' }, best: { anyOf: [area, { type: 'null' }] }, areas: { type: 'array', items: area } },
    });
    const { properties } = inputSchema(Hall, true) as { properties: object };
    expect(properties).toMatchObject({ name: { type: 'string' }, areas: { anyOf: [{ items: area }, { type: 'null' }] } });
  });

  it('that may be left out may be null, and is then left out, however deep', async () => {
    class Party {
      @IsOptional() @IsString() host?: string;
      @IsArray() @ValidateNested({ each: true }) @Type(() => Party) parties: Party[] = [];
    }
    const read = await readInput(Party, { host: null, parties: [{ host: null, parties: [] }, { host: 'Ana' }] });
    expect(JSON.stringify(read)).toBe('{"parties":[{"parties":[]},{"parties":[],"host":"Ana"}]}');
    expect(await errors(() => readInput(Hall, { name: null }))).toMatchObject([{ pointer: '/name' }]);
  });

  it('says of a JSON column what it was told, and writes patterns that everybody reads', () => {
    class Sign {
      @Shape(listShape(shapes.text)) @IsArray() lines: unknown[];
      @Matches(/^[^\p{Cc}<>]+$/u) text: string;
    }
    expect(inputSchema(Sign).properties).toMatchObject({
      lines: { type: 'array', items: { type: 'string' } },
      text: { pattern: '^[^\\x00-\\x1f\\x7f-\\x9f<>]+$' },
    });
  });
});

describe('what leaves a row', () => {
  it('is what it shows, without what has no value', () => {
    const hall = Object.assign(new Hall(), { id: 'x', version: 1, name: 'One', secret: 'hash', best: null });
    expect(Hall.state(hall)).toEqual({ name: 'One', areas: [] });
  });

  it('is said before a process starts', () => {
    @Entity('mute')
    class Mute extends Row {}
    const controller = class extends CommandController(Mute, 'mute') {};
    expect(() => commandService({ name: 'mute-command', row: Mute, controller })).toThrow('Mute.shown names no column');
  });
});

describe('a cursor', () => {
  const id = '01a2025f-d89d-7303-9097-36b0c6e8c10e';

  it('leads back to its place', () => {
    fc.assert(
      fc.property(fc.option(fc.string({ unit: 'grapheme' })), (value) => {
        expect(fromCursor(toCursor({ id, value }, 'p'), 'p')).toEqual({ id, value });
      }),
    );
  });

  it('of another list, or made up, is refused, never worse', async () => {
    const print = fingerprint({ genre: 'Drama', sort: 'title' });
    expect(fingerprint({ sort: 'title', genre: 'Drama' })).toBe(print);
    const cursor = toCursor({ id, value: '1' }, print);
    expect((await problem(() => fromCursor(cursor, fingerprint({ sort: 'title' })))).detail).toMatch('other parameters');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => Buffer.from(text).toString('base64url')),
        ),
        async (text) => {
          expect((await problem(() => fromCursor(text, print))).status).toBe(400);
        },
      ),
    );
  });
});

describe('a list', () => {
  const column = { name: 'n', isArray: false, isNullable: false, isSelected: true };

  it('takes no value that its column cannot hold, and puts none into the statement', async () => {
    const kinds = ['text', 'int', 'number', 'boolean', 'date', 'instant', 'id', 'json'] as const;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...kinds), fc.string({ unit: 'binary-ascii' }), async (kind, text) => {
        const filter = filtersOf(new Map([['n', { ...column, kind }]]), { n: 'n' }).get('n')!;
        const values: string[] = [];
        const add = (value: string) => `$${values.push(value)}`;
        const made = await Promise.resolve()
          .then(() => filterSql(filter, text, add))
          .catch((error: unknown) => error);
        if (typeof made !== 'string')
          expect(made).toMatchObject({ status: 400, extra: { errors: [{ pointer: '/n', in: 'query' }] } });
        else expect([made, values]).toEqual([expect.stringMatching(/^v\."n" = \$1::\w+$/), [text]]);
      }),
    );
  });

  it.each([
    ['date', '0000-01-01', false],
    ['date', '0001-01-01', true],
    ['instant', '2026-02-31T00:00:00Z', false],
    ['instant', '0000-01-01T00:00:00Z', false],
    ['instant', '2026-02-01T00:00:00-16:30', false],
    ['instant', '2026-02-01T00:00:00+15:59', true],
  ] as const)('knows no %s that the database does not: %s', async (kind, text, isKnown) => {
    const filter = filtersOf(new Map([['n', { ...column, kind }]]), { n: 'n' }).get('n')!;
    if (isKnown) expect(filterSql(filter, text, () => '$1')).toContain('$1');
    else expect((await problem(() => filterSql(filter, text, () => '$1'))).status).toBe(400);
  });

  it('names a parameter that is unknown or given twice', async () => {
    expect(await errors(() => readParameters({ 'x/~': '1' }, ['n']))).toMatchObject([{ pointer: '/x~1~0' }]);
    expect(await errors(() => readParameters({ n: ['1', '2'] }, ['n']))).toMatchObject([
      { pointer: '/n', detail: 'must be given once' },
    ]);
    expect(readParameters({ n: '1' }, ['n'])).toEqual({ n: '1' });
  });
});

describe('entity tags', () => {
  it('are read as the standard writes them', async () => {
    expect(entityTags('If-Match', ' "1" , W/"x y"'.replace(' y', ''))).toEqual([
      { tag: '1', isWeak: false },
      { tag: 'x', isWeak: true },
    ]);
    expect(entityTags('If-Match', '*')).toBe('*');
    for (const wrong of ['1', '"1', 'w/"1"', '']) expect((await problem(() => entityTags('If-Match', wrong))).status).toBe(400);
    expect([isUnchanged('*', 1), isUnchanged('"2", W/"1"', 1), isUnchanged('"2"', 1)]).toEqual([true, true, false]);
  });
});

describe('what becomes of a row in the end', () => {
  const event = (key: string, version: number) => ({ id: '', name: 'hall.changed', key, version, body: {}, at: '' });
  const ends = (...made: [string, number, object | null][]) =>
    [...inTheEnd(made.map(([key, version, row]) => ({ event: event(key, version), row })))].map(
      ({ event: { key, version }, row }) => [key, version, row],
    );

  it('is what its newest event says, and what older ones say of other columns', () => {
    expect(ends(['a', 1, { x: 1, y: 1 }], ['b', 1, { x: 1 }], ['a', 2, { x: 2 }])).toEqual([
      ['a', 2, { x: 2, y: 1 }],
      ['b', 1, { x: 1 }],
    ]);
  });

  it('is not changed by what comes late, nor by what comes twice', () => {
    expect(ends(['a', 3, null], ['a', 2, { x: 2 }], ['a', 3, { x: 3 }])).toEqual([['a', 3, null]]);
  });
});
