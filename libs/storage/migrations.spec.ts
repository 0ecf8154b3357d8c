import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { fileSettings } from '#config';
import { silentLog as log } from '#log';
import { outboxTables } from '#outbox';
import { type MigrationClass, migrationFor, migrationsOf, openStorage, StorageConfig } from '#storage';
import { startTestDatabase, type TestDatabase } from '#testing';

@Entity('film')
class Film {
  @PrimaryColumn('uuid') id: string;
  @Column({ length: 200 }) title: string;
  @Column('text', { array: true, default: '{}' }) genres: string[];
  @Column('timestamptz', { nullable: true }) retiredAt: Date | null;
}

const settings = fileSettings({ process: 'film-command', profile: 'test', sections: [StorageConfig], log });
const config = settings.section(StorageConfig);
let database: TestDatabase;
let folder: string;

const open = (migrations: MigrationClass[]) =>
  openStorage({
    process: 'film-command',
    url: database.url('film-command'),
    entities: [Film, ...outboxTables.entities],
    migrations: [...outboxTables.migrations, ...migrations],
    log,
    config,
  });

beforeAll(async () => {
  database = await startTestDatabase(['film-command']);
  folder = mkdtempSync(join(tmpdir(), 'cinemanzana-migrations-'));
});

afterAll(async () => {
  settings.close();
  await database.stop();
  rmSync(folder, { recursive: true, force: true });
});

it('writes the difference between entities and tables as a migration, which then makes them agree', async () => {
  const before = await open([]);
  const named = { process: 'film-command', name: 'add films', atMs: 1_795_330_000_000 };
  const written = await migrationFor(before.db, named);
  await before.close();
  expect(written?.file).toBe('apps/film/migrations/1795330000000-add-films.command.ts');
  expect(written?.text).toContain('export class AddFilms1795330000000 implements MigrationInterface {');
  expect(written?.text).not.toContain('outbox');
  const file = join(folder, 'films.ts');
  writeFileSync(file, written!.text);
  const module = (await import(pathToFileURL(file).href)) as Record<string, never>;
  const after = await open(Object.values(module));
  await after.db.getRepository(Film).insert({ id: '0190163d-8694-739b-aea5-966c26f8ad91', title: 'Machuca', genres: ['Drama'] });
  expect(await migrationFor(after.db, named)).toBeUndefined();
  await after.db.undoLastMigration();
  expect(await after.query(`SELECT 1 FROM pg_tables WHERE tablename = 'film'`)).toEqual([]);
  await after.close();
});

it('finds the migrations of each side of a subject, and none where there are none', async () => {
  const command = await migrationsOf('movie-command');
  const query = await migrationsOf('movie-query');
  expect(command.length).toBeGreaterThan(0);
  expect(query.length).toBeGreaterThan(0);
  expect(command.filter((one) => query.includes(one))).toEqual([]);
  expect(await migrationsOf('nothing-query')).toEqual([]);
});
