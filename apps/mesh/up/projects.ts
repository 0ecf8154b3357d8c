import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One process of the mesh as nest-cli.json lists it. */
export interface Project {
  name: string;
  /** The source file, relative to the project's folder. */
  source: string;
  /** The built file, absolute. */
  module: string;
}

interface NestCli {
  projects: Record<string, { sourceRoot: string; entryFile: string }>;
}

/** Every process there is, from nest-cli.json, which lists them all. */
export function projects(root: string): Project[] {
  const { projects: listed } = JSON.parse(readFileSync(join(root, 'nest-cli.json'), 'utf8')) as NestCli;
  return Object.entries(listed).map(([name, { sourceRoot, entryFile }]) => ({
    name,
    source: `${sourceRoot}/${entryFile}.ts`,
    module: join(root, 'dist', sourceRoot, `${entryFile}.js`),
  }));
}
