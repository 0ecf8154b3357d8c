// How code is written, of HOUSE rules as code:  npx eslint --config libs/house/eslint.config.mjs .
// A rule is switched off for one line with the reason, or here for everyone; the few that name files say why.
import tseslint from 'typescript-eslint';
import house from './rules.mjs';

const banned = (selector, message) => ({ selector, message });

const ENVIRONMENT = 'the environment is read in libs/config/environment.ts alone: ask `environment()` of #config.';
const ENVIRONMENTAL = [
  banned("MemberExpression[object.name='process'][property.name='env']", ENVIRONMENT),
  banned("VariableDeclarator[init.name='process'] > ObjectPattern > Property[key.name='env']", ENVIRONMENT),
  banned("ImportDeclaration[source.value=/^(node:)?process$/] > ImportSpecifier[imported.name='env']", ENVIRONMENT),
];

const KEPT =
  'nothing is kept in a module-level variable: many processes live in one Node process. Put it in an object that is made for one.';
const MODULE_LEVEL = ':matches(Program, Program > ExportNamedDeclaration) > VariableDeclaration';
const STATE = [
  banned(`${MODULE_LEVEL}[kind=/^(let|var)$/]`, KEPT),
  banned(`${MODULE_LEVEL} > VariableDeclarator > NewExpression[callee.name=/^(Weak)?(Map|Set)$/][arguments.length=0]`, KEPT),
  banned(`${MODULE_LEVEL} > VariableDeclarator > ArrayExpression[elements.length=0]`, KEPT),
  banned(`${MODULE_LEVEL} > VariableDeclarator > ObjectExpression[properties.length=0]`, KEPT),
];

const STYLE = [
  banned('TSInterfaceDeclaration > Identifier.id[name=/^I[A-Z][a-z]/]', 'an interface is named after what it is, without an I.'),
  banned(
    ':matches(ClassDeclaration, ClassExpression, TSInterfaceDeclaration, TSTypeAliasDeclaration) > Identifier.id[name=/.(Impl|Manager|Helper|Util)s?$/]',
    'a class is a noun of the cinema or of the mesh: not …Impl, …Manager, …Helper, …Util.',
  ),
  banned('TSEnumDeclaration', 'use a union of strings: an enum is a value where a type is meant.'),
  banned('ExportDefaultDeclaration', 'export by name: one thing has one name.'),
  banned(
    "CatchClause > BlockStatement > ReturnStatement[argument.raw='null']",
    'never catch to return null: "it broke" is not "there is none".',
  ),
  banned("Property[key.name='synchronize'][value.value=true]", 'the schema changes by migrations alone.'),
  banned(
    "CallExpression[callee.property.name='enableShutdownHooks']",
    'one signal handler serves all folded processes: #service has it.',
  ),
];

const CLOCK = [
  banned("CallExpression[callee.object.name=/^(Date|performance)$/][callee.property.name='now']", 'a rule is told the time.'),
  banned("NewExpression[callee.name='Date'][arguments.length=0]", 'a rule is told the time.'),
  banned("CallExpression[callee.object.name='Math'][callee.property.name='random']", 'a rule is told its luck.'),
];

const EVENTS = [
  banned(
    'Program > :matches(VariableDeclaration, FunctionDeclaration, ClassDeclaration, ExpressionStatement), ' +
      'Program > ExportNamedDeclaration > :matches(VariableDeclaration, FunctionDeclaration, ClassDeclaration)',
    'an *.events.ts holds types and nothing else.',
  ),
];

/** Rules of the language that every file keeps. */
const plain = {
  'max-lines': ['error', { max: 300 }],
  'house/function-lines': ['error', 40],
  'no-console': 'error',
  'no-restricted-syntax': ['error', ...ENVIRONMENTAL, ...STATE, ...STYLE],
  'no-restricted-globals': [
    'error',
    { name: 'fetch', message: 'HTTP out only through #client: it has the deadline, the breaker and the name.' },
  ],
  'no-warning-comments': ['error', { terms: ['fixme', 'xxx', 'hack'], location: 'start' }],
  'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
  'no-cond-assign': 'error',
  'no-control-regex': 'error',
  'no-debugger': 'error',
  'no-duplicate-case': 'error',
  'no-empty': 'error',
  'no-eval': 'error',
  'no-fallthrough': 'error',
  'no-loss-of-precision': 'error',
  'no-promise-executor-return': 'off', // `new Promise((done) => setTimeout(done, ms))` reads best as it is
  'no-self-assign': 'error',
  'no-unreachable': 'error',
  'no-unsafe-finally': 'error',
  'no-useless-catch': 'error',
  'no-useless-escape': 'error',
  'no-var': 'error',
  'prefer-const': 'error',
  eqeqeq: ['error', 'always', { null: 'ignore' }],
};

/** Rules that need the types. */
const typed = {
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-misused-promises': 'error',
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
  '@typescript-eslint/await-thenable': 'error',
  '@typescript-eslint/only-throw-error': 'error',
  '@typescript-eslint/no-for-in-array': 'error',
  '@typescript-eslint/no-unsafe-argument': 'error',
  '@typescript-eslint/no-unsafe-assignment': 'error',
  '@typescript-eslint/no-unsafe-call': 'error',
  '@typescript-eslint/no-unsafe-return': 'error',
  '@typescript-eslint/no-unnecessary-type-assertion': 'error',
  '@typescript-eslint/prefer-promise-reject-errors': 'error',
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
  '@typescript-eslint/ban-ts-comment': 'error',
  '@typescript-eslint/no-non-null-asserted-optional-chain': 'error',
  '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true, allowEmpty: true }],
  'house/door-docs': 'error',
};

const untypedBodies = Object.fromEntries(
  ['argument', 'assignment', 'call', 'return'].map((what) => [`@typescript-eslint/no-unsafe-${what}`, 'off']),
);

export default [
  { ignores: ['dist/', '**/node_modules/', '.data/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  { files: ['**/*.{ts,mjs,cjs}'], plugins: { house, '@typescript-eslint': tseslint.plugin }, rules: plain },
  {
    files: ['**/*.ts'],
    languageOptions: { parser: tseslint.parser, parserOptions: { projectService: true } },
    rules: typed,
  },
  { files: ['**/*.events.ts'], rules: { 'no-restricted-syntax': ['error', ...EVENTS] } },
  { files: ['**/*.rules.ts'], rules: { 'no-restricted-syntax': ['error', ...ENVIRONMENTAL, ...STATE, ...STYLE, ...CLOCK] } },
  // What tests: jest gives each spec modules of its own; it asks the environment where real servers are and gives one to the
  // processes that it starts; it speaks HTTP as a stranger would, and asserts on bodies that have no type.
  {
    files: ['**/*.spec.ts', '**/{,*.}contract.ts', 'libs/testing/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...STYLE], 'no-restricted-globals': 'off', ...untypedBodies },
  },
  // The one place that reads the environment, and the front script, which runs before anything is installed or built.
  { files: ['libs/config/environment.ts'], rules: { 'no-restricted-syntax': ['error', ...STATE, ...STYLE] } },
  {
    files: ['apps/mesh/front.mjs', 'apps/mesh/front/*.mjs'],
    rules: { 'no-restricted-syntax': ['error', ...STATE, ...STYLE], 'no-console': 'off' },
  },
  // A tool's configuration is its default export.
  { files: ['libs/house/*.mjs'], rules: { 'no-restricted-syntax': ['error', ...ENVIRONMENTAL, ...STATE] } },
];
