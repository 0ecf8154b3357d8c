/** Longer than anything that is merely slow in closing, ms. */
const PATIENCE_MS = 10_000;

/** Ends a run whose specs left something open, and says what: jest itself would wait for it for ever, and say nothing. */
module.exports = class LeftOpen {
  onRunComplete(_contexts, { numFailedTestSuites, wasInterrupted }) {
    const end = () => {
      const open = [...new Set(process.getActiveResourcesInfo())].join(', ');
      process.stderr.write(`jest: a spec left something open: ${open}\n`);
      process.exit(numFailedTestSuites > 0 || wasInterrupted ? 1 : 0);
    };
    setTimeout(end, PATIENCE_MS).unref();
  }
};
