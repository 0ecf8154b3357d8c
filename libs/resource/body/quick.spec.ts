import '@nestjs/common'; // for what decorators keep of types
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsEmail, IsIn, IsInt, IsOptional, IsString, Length, Min, ValidateIf, ValidateNested } from 'class-validator'; // prettier-ignore
import fc from 'fast-check';
import { readInput } from '../input.js';
import { quickOf } from './quick.js';

class Seat {
  @IsString() @Length(2, 4) name: string;
  @IsOptional() @IsInt() @Min(1) row?: number;
}
class Wish {
  @IsString() show: string;
  @IsOptional() @IsArray() @ArrayMaxSize(2) @Type(() => Seat) @ValidateNested({ each: true }) seats?: Seat[];
  @IsOptional() @Type(() => Seat) @ValidateNested() best?: Seat;
  @IsOptional() @IsIn(['a', 'b'], { each: true }) areas: string[] = ['a'];
  @ValidateIf((wish: Wish) => wish.show !== 'free') @IsEmail() email?: string;
}

const mostly = (right: fc.Arbitrary<unknown>, ...wrong: unknown[]) =>
  fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: fc.constantFrom(...wrong) });
const oneOf = (...values: unknown[]) => fc.constantFrom(...values);
const object = (fields: Record<string, fc.Arbitrary<unknown>>, ...required: string[]) =>
  mostly(fc.record(fields, { requiredKeys: required, noNullPrototype: true }), null, 'x', [], 7, {}, [null]);
const seat = object({ name: mostly(oneOf('A1', 'B12'), 'Z', '', 3), row: mostly(oneOf(1, null), 0, 'x') }, 'name');
const wish = object(
  {
    show: mostly(oneOf('free', 'dear'), 7, null),
    seats: mostly(fc.array(seat, { maxLength: 2 }), [{ name: 'A1', more: 1 }], [1, 2, 3]),
    best: seat,
    areas: mostly(oneOf(['a'], ['a', 'b'], 'b', [], null), ['c'], 'c'),
    email: mostly(oneOf('ana@example.pe'), 'ana', null),
  },
  'show',
);

const thorough = (body: unknown) => readInput(Wish, body).catch(() => undefined);

it('makes what the thorough way makes, and nothing of what that refuses', async () => {
  const quick = quickOf(Wish)!;
  const seen = { both: 0, neither: 0 };
  const same = async (body: unknown) => {
    const [soon, well] = [quick(structuredClone(body)), await thorough(structuredClone(body))];
    // Nothing, or a list, among objects is let through by the thorough way alone.
    if (soon === undefined && /[[,](null|\[)/.test(JSON.stringify(body))) return;
    seen[soon ? 'both' : 'neither']++;
    expect(soon).toStrictEqual(well);
  };
  await fc.assert(fc.asyncProperty(wish, same), { numRuns: 1500 });
  expect(seen.both).toBeGreaterThan(50);
  expect(seen.neither).toBeGreaterThan(50);
});

it('leaves to the thorough way what it does not know', () => {
  class Late {
    @IsString({ groups: ['later'] }) name: string;
  }
  class Ring {
    @IsOptional() @Type(() => Ring) @ValidateNested() next?: Ring;
  }
  class Open {
    @IsString() name: string;
    extra = 1;
  }
  class Dated {
    @IsOptional() @Type(() => Date) at?: Date;
  }
  expect([Late, Ring, Open, Dated].map((cls) => quickOf<object>(cls))).toEqual([undefined, undefined, undefined, undefined]);
});
