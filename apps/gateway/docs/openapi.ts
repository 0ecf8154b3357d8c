import { isDeepStrictEqual } from 'node:util';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

/** An OpenAPI document as far as it is read here. */
export interface ApiDocument {
  openapi: string;
  info: JsonObject;
  paths?: Record<string, JsonObject>;
  components?: Record<string, JsonObject>;
  tags?: { name: string; description?: string }[];
}

/** The document of one service, and the public paths that are its own. */
export interface Part {
  service: string;
  prefixes: readonly string[];
  document: ApiDocument;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isUnder = (path: string, prefixes: readonly string[]) =>
  prefixes.some((prefix) => prefix === '/' || path === prefix || path.startsWith(`${prefix}/`));

/** A copy in which each `$ref` is what `refs` says, and `nullable`, which 3.1 does not know, is a type. */
function rewritten(value: Json, refs: ReadonlyMap<string, string>): Json {
  if (Array.isArray(value)) return value.map((item) => rewritten(item, refs));
  if (!isObject(value)) return value;
  const { nullable, ...rest } = value;
  const copy: JsonObject = {};
  for (const [key, item] of Object.entries(rest)) {
    copy[key] = key === '$ref' && typeof item === 'string' ? (refs.get(item) ?? item) : rewritten(item, refs);
  }
  if (typeof nullable !== 'boolean') return nullable === undefined ? copy : { ...copy, nullable: rewritten(nullable, refs) };
  if (!nullable) return copy;
  return typeof copy.type === 'string' ? { ...copy, type: [copy.type, 'null'] } : { anyOf: [copy, { type: 'null' }] };
}

const PROBLEM = '#/components/schemas/Problem';
/** What any request may be answered on its way, whatever service it is for. */
const ANYWHERE: Readonly<Record<string, string>> = {
  400: 'The request is malformed',
  401: 'The access token that was sent is not good',
  502: 'A service went away before it answered',
  503: 'Unavailable for now',
  504: 'A service did not answer in time',
};
const header = (description: string, isRequired = false) => ({
  ...{ description, schema: { type: 'string' } },
  ...(isRequired ? { required: true } : {}),
});
const RETRY_AFTER = { 'Retry-After': header('When to ask again, seconds') };
const HEADERS: Readonly<Record<string, JsonObject>> = {
  401: { 'WWW-Authenticate': header('How to ask', true) },
  405: { Allow: header('What is offered instead', true) },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

/** Add to an operation what the gateway may answer in place of its service, and the headers that a status always has. */
function complete(operation: JsonObject): void {
  const responses = (operation.responses ??= {}) as Record<string, JsonObject>;
  for (const [status, description] of Object.entries(ANYWHERE))
    responses[status] ??= { description, content: { 'application/problem+json': { schema: { $ref: PROBLEM } } } };
  for (const [status, headers] of Object.entries(HEADERS)) {
    const response = responses[status];
    if (response) response.headers = { ...headers, ...(response.headers as JsonObject | undefined) };
  }
}

/** `movie-command` → `MovieCommand`. */
const pascal = (service: string) => service.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Puts documents into one, naming apart what has one name and two meanings. */
class Merger {
  readonly paths: Record<string, JsonObject> = {};
  readonly components: Record<string, JsonObject> = {};
  readonly tags = new Map<string, { name: string; description?: string }>();
  private readonly operations = new Set<string>();

  add({ service, prefixes, document }: Part): void {
    const refs = this.addComponents(service, document.components ?? {});
    for (const [path, item] of Object.entries(document.paths ?? {})) {
      if (!isUnder(path, prefixes)) continue;
      const operations = rewritten(item, refs) as JsonObject;
      for (const operation of Object.values(operations).filter(isObject)) {
        this.nameApart(service, operation);
        if (this.components.schemas?.Problem) complete(operation);
      }
      this.paths[path] = { ...this.paths[path], ...operations };
    }
    for (const tag of document.tags ?? []) if (!this.tags.has(tag.name)) this.tags.set(tag.name, tag);
  }

  /** @returns where the references of this document lead to */
  private addComponents(service: string, sections: Record<string, JsonObject>): Map<string, string> {
    const refs = new Map<string, string>();
    const added: { section: string; name: string; as: string; value: Json }[] = [];
    for (const [section, values] of Object.entries(sections)) {
      for (const [name, value] of Object.entries(values)) {
        const known = this.components[section]?.[name];
        // What is compared is the text: two that refer to different things by the same names are both named apart by those.
        const isOther =
          known !== undefined && !isDeepStrictEqual(known, rewritten(value, new Map())) && section !== 'securitySchemes';
        const as = isOther ? `${pascal(service)}${name}` : name;
        refs.set(`#/components/${section}/${name}`, `#/components/${section}/${as}`);
        added.push({ section, name, as, value });
      }
    }
    for (const { section, as, value } of added) (this.components[section] ??= {})[as] ??= rewritten(value, refs);
    return refs;
  }

  private nameApart(service: string, operation: JsonObject) {
    const { operationId } = operation;
    if (typeof operationId !== 'string') return;
    const id = this.operations.has(operationId) ? `${pascal(service)}_${operationId}` : operationId;
    this.operations.add(id);
    operation.operationId = id;
  }
}

/** One document of all services' public paths. */
export function mergeDocuments(parts: readonly Part[], info: { title: string; version: string; description?: string }): object {
  const merger = new Merger();
  for (const part of [...parts].sort((a, b) => a.service.localeCompare(b.service))) merger.add(part);
  return {
    openapi: '3.1.0',
    info,
    servers: [{ url: '/' }],
    paths: Object.fromEntries(Object.entries(merger.paths).sort(([a], [b]) => a.localeCompare(b))),
    components: merger.components,
    tags: [...merger.tags.values()],
  };
}
