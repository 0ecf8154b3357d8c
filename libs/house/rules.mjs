// Rules that no package brings: lines of a function without the classes it makes, and docstrings on what a door exports.
import ts from 'typescript';

/** Calls whose function holds other functions side by side: a `describe` of ten tests is not a function of ten tests' length. */
const SUITES = new Set(['describe', 'it', 'test', 'beforeAll', 'beforeEach', 'afterAll', 'afterEach']);

/** `describe` of `describe(…)`, `describe.skip(…)` and `it.each(…)(…)` alike. */
function calledName(node) {
  let callee = node;
  while (callee.type === 'CallExpression' || callee.type === 'MemberExpression') {
    callee = callee.type === 'CallExpression' ? callee.callee : callee.object;
  }
  return callee.name;
}

const isFunction = (node) => /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
const isTest = (node) => isFunction(node) && node.parent.type === 'CallExpression' && SUITES.has(calledName(node.parent));
const linesOf = (node) => node.loc.end.line - node.loc.start.line + 1;

/**
 * Stop at `max` lines. A class made in a function (a factory of controllers, a mixin) is counted by its own methods, and a
 * suite by its own tests: what is measured is how much one must read to know what one function does.
 */
const functionLines = {
  meta: {
    type: 'suggestion',
    schema: [{ type: 'integer', minimum: 1 }],
    messages: { long: '{{lines}} lines in one function, at most {{max}}: split it by subject.' },
  },
  create(context) {
    const max = context.options[0];
    const open = [];
    const enter = () => open.push({ apart: 0 });
    const leave = (node) => {
      const { apart } = open.pop();
      const lines = linesOf(node) - apart;
      if (isFunction(node) && lines > max) context.report({ node, messageId: 'long', data: { lines, max } });
      // A plain closure is part of what surrounds it, without what it set apart itself.
      const around = open.at(-1);
      if (around) around.apart += isFunction(node) && !isTest(node) ? apart : linesOf(node);
    };
    const counted = 'FunctionDeclaration, FunctionExpression, ArrowFunctionExpression, ClassBody';
    return { [counted]: enter, [`:matches(${counted}):exit`]: leave };
  },
};

const isDoor = (file) => /[\\/]libs[\\/]([^\\/]+)[\\/]\1\.ts$/.test(file);

/** Every export of a door says in a docstring what you get, wherever in the room it is written. */
const doorDocs = {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: {
      bare: '`{{name}}` leaves the room without a docstring: one sentence of what you get, then units, `@throws`, `@source`.',
    },
  },
  create(context) {
    if (!isDoor(context.filename)) return {};
    const { program, esTreeNodeToTSNodeMap } = context.sourceCode.parserServices;
    const documented = (symbol, checker) => {
      const meant = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      const ours = (meant.declarations ?? []).some(
        (declaration) => !program.isSourceFileFromExternalLibrary(declaration.getSourceFile()),
      );
      return !ours || meant.getDocumentationComment(checker).length > 0;
    };
    return {
      'Program:exit'(node) {
        const checker = program.getTypeChecker();
        const door = checker.getSymbolAtLocation(esTreeNodeToTSNodeMap.get(node));
        for (const symbol of door ? checker.getExportsOfModule(door) : []) {
          if (!documented(symbol, checker))
            context.report({ loc: { line: 1, column: 0 }, messageId: 'bare', data: { name: symbol.name } });
        }
      },
    };
  },
};

export default { rules: { 'function-lines': functionLines, 'door-docs': doorDocs } };
