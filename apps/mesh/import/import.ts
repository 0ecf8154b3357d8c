import { readFile } from 'node:fs/promises';
import { PublicApi } from '../wire/public.js';
import { type ImportOptions, type ImportResult, type Sent, Sending } from './batches.js';
import { FieldFault, Finding, type Values } from './finding.js';
import type { Kind } from './kinds.js';
import { isGiven, recordsOf } from './records.js';

/** What the file calls the place of a pointer: `/position/latitude` may be `position.latitude` there. */
const naming = (values: Values, called: Kind['called']) => (pointer: string) => {
  const path = pointer.slice(1).split('/');
  const dotted = path.join('.');
  const [field = ''] = path;
  if (path.length > 1 && Object.hasOwn(values, dotted)) return dotted;
  return Object.hasOwn(called, field) ? called[field]! : field;
};

/**
 * Bring records of a kind in by the public API, as `importMovies` does films: what they refer to is named as people name it.
 *
 * @throws Error when the file cannot be read, or the mesh refuses the caller or does not answer for a minute
 */
export async function importRecords(kind: Kind, file: string, options: ImportOptions): Promise<ImportResult> {
  const records = recordsOf(await readFile(file, 'utf8'));
  const result: ImportResult = { read: records.length, created: 0, existed: 0, failed: [] };
  const find = new Finding(new PublicApi(options.gatewayUrl, options.token));
  const sent: Sent[] = [];
  for (const { line, values, fault } of records) {
    try {
      if (!values) throw new FieldFault('', fault ?? 'is empty');
      const body = await kind.body(values, find);
      const given = Object.fromEntries(Object.entries(body).filter(([, value]) => isGiven(value)));
      sent.push({ line, body: given, fieldOf: naming(values, kind.called) });
    } catch (error) {
      if (!(error instanceof FieldFault)) throw error;
      result.failed.push({ line, field: error.field, detail: error.message });
    }
  }
  await new Sending(kind, options, result).run(sent);
  return result;
}
