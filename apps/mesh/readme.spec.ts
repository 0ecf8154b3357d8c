import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { meshTables, withTables } from '#house';

const root = resolve(import.meta.dirname, '../..');

const load = (file: string) => import(join(root, file)) as Promise<Record<string, unknown>>;

describe('apps/README.md', () => {
  let page: string;
  let tables: string;
  beforeAll(async () => {
    page = readFileSync(join(root, 'apps/README.md'), 'utf8');
    tables = await meshTables(root, load);
  });

  it('says of processes, routes and events what the code says (npm run build, then: node dist/libs/house/page.js)', () => {
    expect(page).toBe(withTables(page, tables));
  });

  it('would be found out and mended if it said less', () => {
    const forgetful = page.replace(/\| `GET \/api\/movies` .*\n/, '');
    expect(forgetful).not.toBe(page);
    expect(withTables(forgetful, tables)).toBe(page);
  });

  it('leaves no route that nobody may use', () => {
    expect(tables).not.toContain('| nobody |');
  });
});
