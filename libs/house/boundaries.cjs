// Who may import whom, of libs/README.md as code:  npx depcruise --config libs/house/boundaries.cjs apps libs
const { resolve } = require('node:path');
const drivers = require('./drivers.cjs');
const floors = require('./floors.cjs');

/** A spec, or a contract: the part that several specs share. */
const SPEC = '((\\.spec|[./]contract)\\.ts)$';
const DOOR = '^libs/([^/]+)/\\1\\.ts$';
const EVENTS = '^apps/([^/]+)/\\1\\.events\\.ts$';
/** Rooms without a floor: tests stand on all of them, and nothing stands on these. */
const FLOORLESS = '^libs/(testing|house)/';

const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

const down = floors.flatMap((floor, i) =>
  floor.map((room) => {
    const below = [room, ...floors.slice(0, i).flat()].join('|');
    return rule(
      `${room}-looks-down`,
      `#${room} imports only rooms on lower floors: never up, never sideways`,
      { path: `^libs/${room}/`, pathNot: SPEC },
      { path: '^libs/', pathNot: [`^libs/(${below})/`, FLOORLESS] },
    );
  }),
);

const places = drivers.map(({ name, driver, places }) =>
  rule(
    `${name}-in-one-place`,
    `a driver is imported in one folder (${places.join(', ')}); ask that room instead`,
    { path: '^(apps|libs)/', pathNot: [...places, SPEC] },
    { path: [`node_modules/${driver}/`, `^${driver}$`, `^@types/${driver}$`] },
  ),
);

module.exports = {
  forbidden: [
    ...down,
    ...places,
    rule(
      'through-the-door',
      "a room is entered by its name, `import … from '#room'`; its other files are nobody else's business",
      { path: '^(?:apps|libs)/([^/]+)/' },
      { path: '^libs/', pathNot: ['^libs/$1/', DOOR] },
    ),
    rule(
      'by-its-name',
      "a room is imported as '#room', not by a path to its door",
      { path: '^(apps|libs)/([^/]+)/' },
      { path: DOOR, pathNot: '^$1/$2/', dependencyTypesNot: ['aliased'] },
    ),
    rule('no-cycles', 'a cycle is two files that are one; split them elsewhere', {}, { circular: true }),
    rule('libs-know-no-app', 'what knows the cinema is never in libs/', { path: '^libs/' }, { path: '^apps/' }),
    rule(
      'apps-share-only-events',
      'from another app only its *.events.ts; everything else goes over the wire through #client (but mesh, which folds them all, and a spec, which starts neighbours)',
      { path: '^apps/([^/]+)/', pathNot: ['^apps/mesh/', SPEC] },
      { path: '^apps/', pathNot: ['^apps/$1/', EVENTS] },
    ),
    rule(
      'events-are-types',
      '`import type` an *.events.ts: it leaves nothing behind at run time',
      { path: '^(apps|libs)/' },
      { path: '\\.events\\.ts$', dependencyTypesNot: ['type-only'] },
    ),
    rule(
      'events-know-events-only',
      'an *.events.ts holds types and takes them from other *.events.ts alone',
      { path: '\\.events\\.ts$' },
      { pathNot: '\\.events\\.ts$' },
    ),
    rule(
      'sides-never-meet',
      'command and query side meet in *.events.ts; a process is imported by nobody but its spec',
      { path: '^apps/', pathNot: SPEC },
      { path: '^apps/[^/]+/[^/]+\\.(command|query)\\.ts$' },
    ),
    rule(
      'rules-are-pure',
      '*.rules.ts import #problem, types of events and other rules: no storage, no network, no clock',
      { path: '\\.rules\\.ts$' },
      { pathNot: ['^libs/problem/problem\\.ts$', '\\.(events|rules)\\.ts$'] },
    ),
    rule(
      'testing-only-in-specs',
      '#testing and #house are for specs; what runs may not need them',
      { path: '^(apps|libs)/', pathNot: [SPEC, FLOORLESS] },
      { path: FLOORLESS },
    ),
    rule(
      'declared-packages',
      'what is imported is in package.json; what came along with something else may leave with it',
      { path: '^(apps|libs)/' },
      { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    ),
    rule(
      'no-development-packages',
      'what runs may not need devDependencies: the image has none',
      { path: '^(apps|libs)/', pathNot: [SPEC, FLOORLESS] },
      { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    ),
    rule('specs-stay-apart', 'nobody imports a spec; a contract is imported by specs alone', { pathNot: SPEC }, { path: SPEC }),
    rule('nothing-missing', 'the import leads nowhere', { path: '^(apps|libs)/' }, { couldNotResolve: true }),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'require', 'types'] },
    exclude: { path: '^dist/' },
    webpackConfig: { fileName: resolve(__dirname, 'doors.cjs') },
  },
};
