const { existsSync, readdirSync } = require('node:fs');
const { resolve } = require('node:path');

// The tool runs from the root of the tree that it judges: the project's, or a planted one in a test.
const libs = resolve('libs');

// package.json says that `#x` is `dist/libs/x/x.js`; the boundaries tool looks before there is a dist, so here it is
// `libs/x/x.ts`. The tool reads this as if it were a bundler's configuration.
module.exports = {
  resolve: {
    extensions: ['.ts', '.mjs', '.cjs', '.js', '.json'],
    extensionAlias: { '.js': ['.ts', '.js'] },
    alias: Object.fromEntries(
      (existsSync(libs) ? readdirSync(libs, { withFileTypes: true }) : [])
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => [`#${name}$`, resolve(libs, name, `${name}.ts`)]),
    ),
  },
};
