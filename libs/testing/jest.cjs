const { join } = require('node:path');

const rootDir = join(__dirname, '../..');

/**
 * How our specs are run: ES modules, compiled by SWC as the build compiles them.
 *
 * @type {import('jest').Config}
 */
const specs = {
  rootDir,
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  moduleNameMapper: { '^#([a-z-]+)$': '<rootDir>/libs/$1/$1.ts', '^(\\.{1,2}/.*)\\.js$': '$1' },
  testEnvironment: 'node',
};

/** What has bounds in seconds on a whole mesh wants the machine to itself. */
const TIMED = [
  ...['dev', 'faults', 'folded', 'identity', 'new', 'unfolded'].map((name) => `/${name}\\.mesh\\.spec\\.ts$`),
  '\\.parts\\.spec\\.ts$',
];

/**
 * Specs run two at a time; those with bounds in seconds after them, one by one.
 *
 * @type {import('jest').Config}
 */
module.exports = {
  rootDir,
  testTimeout: 30_000,
  maxWorkers: 2,
  workerIdleMemoryLimit: '1GB',
  reporters: ['default', '<rootDir>/libs/testing/left-open.cjs'],
  projects: [
    {
      ...specs,
      displayName: 'specs',
      testMatch: ['<rootDir>/(apps|libs)/**/*.spec.ts'],
      testPathIgnorePatterns: [...specs.testPathIgnorePatterns, ...TIMED],
    },
    { ...specs, displayName: 'timed', testRegex: TIMED, runner: '<rootDir>/libs/testing/one-by-one.cjs' },
  ],
};
