import type { EntityManager } from 'typeorm';
import { rebuildSchemaOf, roleOf } from '#postgres';

/** A definition as PostgreSQL writes it: with names that are looked up along the search path. */
interface Definition {
  sql: string;
}

// Pretty, or else they name the schema. Names are kept, which LIKE would not do for indexes: migrations and the entities know them. Foreign keys come last.
const DEFINITIONS = `
  SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $1::text, conname, pg_get_constraintdef(oid, true)) AS sql, (contype = 'f')::int AS n
  FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u', 'x', 'f')
  UNION ALL
  SELECT pg_get_indexdef(indexrelid, 0, true), 1 FROM pg_index WHERE indrelid = $1::regclass
    AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
  ORDER BY n`;

const STRUCTURE = `
  SELECT coalesce(string_agg(part, ' ' ORDER BY part), '') AS text FROM (
    SELECT format('%s:%s:%s', attname, format_type(atttypid, atttypmod), attnotnull) FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT relname::text FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = to_regclass($1)
  ) AS parts (part)`;

/**
 * Empty copies of some tables, in the process's schema for them. Where that schema stands first in the search path, statements that
 * name no schema use the copies.
 */
export class Shadow {
  private readonly own: string;
  private readonly aside: string;

  /** @param tables  as statements name them, quoted where that is needed */
  constructor(
    process: string,
    private readonly tables: readonly string[],
  ) {
    this.own = `"${roleOf(process)}"`;
    this.aside = `"${rebuildSchemaOf(process)}"`;
  }

  /** From here on `tx` uses the copies. */
  async use(tx: EntityManager): Promise<void> {
    await this.path(tx, `${this.aside}, ${this.own}, extensions`);
  }

  /** Make the copies, empty; what an earlier try left is removed. */
  async make(tx: EntityManager): Promise<void> {
    const [aside] = await tx.query<[{ there: boolean }]>('SELECT to_regnamespace($1) IS NOT NULL AS there', [this.aside]);
    if (!aside.there) throw new Error(`there is no schema ${this.aside} for copies: run npx mesh db prepare`);
    await this.clear(tx);
    const definitions: Definition[] = [];
    await this.path(tx, `${this.own}, extensions`);
    for (const table of this.tables) {
      await tx.query(`CREATE TABLE ${this.aside}.${table} (LIKE ${this.own}.${table} INCLUDING ALL EXCLUDING INDEXES)`);
      definitions.push(...(await tx.query<Definition[]>(DEFINITIONS, [table])));
    }
    await this.path(tx, `${this.aside}, extensions`);
    for (const { sql } of definitions) await tx.query(sql);
  }

  /** Count what is in the copies, so that the first reads are planned well. */
  async analyze(tx: EntityManager): Promise<void> {
    for (const table of this.tables) await tx.query(`ANALYZE ${this.aside}.${table}`);
  }

  async clear(tx: EntityManager): Promise<void> {
    const sql = `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE format('"%s"', schemaname) = $1`;
    for (const { name } of await tx.query<{ name: string }[]>(sql, [this.aside])) await tx.query(`DROP TABLE ${name} CASCADE`);
  }

  /**
   * Put the copies in the place of the tables. Readers wait a moment, no longer than `lockMs`, and then find the new ones
   * under the same names.
   *
   * @returns false when the tables have changed since the copies were made
   */
  async swap(tx: EntityManager, lockMs: number): Promise<boolean> {
    await tx.query(`SELECT set_config('lock_timeout', $1, true)`, [String(lockMs)]);
    await tx.query(`LOCK TABLE ${this.tables.map((table) => `${this.own}.${table}`).join(', ')} IN ACCESS EXCLUSIVE MODE`);
    for (const table of this.tables) {
      const [was, is] = [await this.structure(tx, `${this.own}.${table}`), await this.structure(tx, `${this.aside}.${table}`)];
      if (was !== is) return false;
    }
    await tx.query(`DROP TABLE ${this.tables.map((table) => `${this.own}.${table}`).join(', ')}`);
    for (const table of this.tables) await tx.query(`ALTER TABLE ${this.aside}.${table} SET SCHEMA ${this.own}`);
    return true;
  }

  private async structure(tx: EntityManager, table: string): Promise<string> {
    const [row] = await tx.query<[{ text: string }]>(STRUCTURE, [table]);
    return row.text;
  }

  private path(tx: EntityManager, path: string): Promise<unknown> {
    return tx.query(`SELECT set_config('search_path', $1, true)`, [path]);
  }
}
