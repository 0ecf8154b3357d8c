import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { projectRoot } from '#config';
import { nameFaults } from '#house';
import { newResource, pluralOf } from './new.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'new-'));
  for (const part of ['apps', 'config', 'nest-cli.json', 'docker-compose.yml'])
    cpSync(join(projectRoot, part), join(root, part), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a new resource', () => {
  it('has one name wherever it stands', () => {
    const { files, route } = newResource('gift-card', { root, atMs: 1_800_000_000_000 });
    expect(route).toBe('/api/gift-cards');
    expect(readdirSync(join(root, 'apps/gift-card')).sort()).toEqual([
      ...['gift-card.command.ts', 'gift-card.events.ts', 'gift-card.query.ts', 'gift-card.spec.ts', 'migrations'],
    ]);
    expect(nameFaults(root).filter((fault) => fault.includes('gift-card'))).toEqual([]);
    for (const file of files) expect(readFileSync(join(root, file), 'utf8')).not.toMatch(/__\w+__/);
  });

  it('stands beside another one', () => {
    newResource('gift-card', { root });
    expect(newResource('mouse', { root, plural: 'mice' }).route).toBe('/api/mice');
    expect(nameFaults(root).filter((fault) => /gift-card|mouse/.test(fault))).toEqual([]);
  });

  it.each([
    ['GiftCard', undefined, /small letters/],
    ['gift_card', undefined, /small letters/],
    ['../card', undefined, /small letters/],
    ['', undefined, /small letters/],
    ['a'.repeat(25), undefined, /at most 24/],
    ['movie', undefined, /apps\/movie already/],
    ['gateway', undefined, /apps\/gateway already/],
    ['film', 'movies', /answered by apps\/movie/],
    ['sheep', 'sheep', /--plural/],
    ['map', undefined, /the class Map/],
    ['card-query', undefined, /one side/],
  ])('is not called %j', (name, plural, why) => {
    const before = readdirSync(root, { recursive: true }).length;
    expect(() => newResource(name, { root, plural })).toThrow(why);
    expect(readdirSync(root, { recursive: true })).toHaveLength(before);
  });
});

it('many are formed as English does, and are never the same as one', () => {
  const many = { box: 'boxes', city: 'cities', day: 'days', seat: 'seats', dish: 'dishes', bus: 'buses' };
  for (const [one, plural] of Object.entries(many)) expect(pluralOf(one)).toBe(plural);
  fc.assert(fc.property(fc.stringMatching(/^[a-z]{1,20}$/), (one) => pluralOf(one) !== one));
});
