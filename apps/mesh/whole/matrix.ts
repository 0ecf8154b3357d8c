import type { WholeMesh } from '#testing';

/** Who is let in, as an operation of the merged OpenAPI document says. */
type Access = 'public' | { roles: string[]; clients: string[] };

interface Operation {
  'x-access'?: Access;
}

/** One request of one caller, and what must come of it. */
export interface Case {
  method: string;
  path: string;
  who: string;
  expected: 'let in' | 401 | 403;
  got: number;
}

/** A caller: what it is called, its roles, and its token; a client speaks for itself. */
export interface Asker {
  who: string;
  roles: readonly string[];
  client?: string;
  token?: string;
}

/** Nobody's: what is asked for does not exist, so that whoever is let in changes nothing. */
const NOBODYS_ID = '00000000-0000-7000-8000-000000000000';

function expectedOf(access: Access, { roles, client, token }: Asker): Case['expected'] {
  if (access === 'public') return 'let in';
  if (token === undefined) return 401;
  const isAllowed =
    access.roles.some((role) => roles.includes(role)) || (client !== undefined && access.clients.includes(client));
  return isAllowed ? 'let in' : 403;
}

/** Every operation of the merged document asked by every caller, with a body that no operation takes. */
export async function matrix(mesh: WholeMesh, askers: readonly Asker[]): Promise<Case[]> {
  const { body } = await mesh.http('GET', '/openapi.json');
  const cases: Case[] = [];
  for (const [template, item] of Object.entries(body.paths as Record<string, Record<string, Operation>>)) {
    for (const [method, { 'x-access': access }] of Object.entries(item)) {
      if (access === undefined) throw new Error(`${method} ${template} does not say who may`);
      const path = template.replace(/\{\w+\}/g, NOBODYS_ID);
      for (const asker of askers) {
        const headers: Record<string, string> = asker.token === undefined ? {} : { authorization: `Bearer ${asker.token}` };
        const sent = method === 'get' ? undefined : { 'no such field': 1 };
        const ask = () => mesh.http(method.toUpperCase(), path, sent, headers);
        let { status } = await ask();
        // A busy machine may be too slow for a deadline, which says nothing of who may.
        for (let tries = 1; (status === 503 || status === 504) && tries < 4; tries++) ({ status } = await ask());
        cases.push({ method, path: template, who: asker.who, expected: expectedOf(access, asker), got: status });
      }
    }
  }
  return cases;
}

/** Those that went otherwise than they must; whoever is let in may still be told that there is no such thing, or that the input is wrong. */
export const wrong = (cases: readonly Case[]): Case[] =>
  cases.filter(({ expected, got }) => (expected === 'let in' ? got === 401 || got === 403 || got >= 500 : got !== expected));
