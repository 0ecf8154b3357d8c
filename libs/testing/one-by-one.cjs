const { default: TestRunner } = require('jest-runner');

/** Jest's own runner, told to run one file at a time. */
module.exports = class OneByOne extends TestRunner {
  isSerial = true;
};
