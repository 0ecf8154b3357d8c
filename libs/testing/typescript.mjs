// node --import ./libs/testing/typescript.mjs file.ts   runs our TypeScript as it is written: children of tests need no build.
import { transformSync } from '@swc/core';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
const options = { ...JSON.parse(readFileSync(new URL('.swcrc', root), 'utf8')), swcrc: false, sourceMaps: 'inline' };

registerHooks({
  resolve(specifier, context, next) {
    const room = /^#([a-z-]+)$/.exec(specifier)?.[1];
    if (room) return next(new URL(`libs/${room}/${room}.ts`, root).href, context);
    const isOurs = context.parentURL?.startsWith(root.href) && context.parentURL.endsWith('.ts');
    return next(isOurs ? specifier.replace(/^(\..*)\.js$/, '$1.ts') : specifier, context);
  },
  load(url, context, next) {
    if (!url.startsWith(root.href) || !url.endsWith('.ts')) return next(url, context);
    const filename = fileURLToPath(url);
    const { code } = transformSync(readFileSync(filename, 'utf8'), { ...options, filename });
    return { format: 'module', source: code, shortCircuit: true };
  },
});
