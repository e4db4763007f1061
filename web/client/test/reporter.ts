import type { Reporter, TestModule } from 'vitest/node';

/** The closing line that `cargo xtask test` counts: `12 passed, 0 failed`. What was skipped has not passed. */
export default class Tally implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const passed = tests.filter((test) => test.result().state === 'passed').length;
    const broken = modules.filter((module) => module.errors().length > 0).length;
    console.log(`\n${passed} passed, ${tests.length - passed + broken + errors.length} failed`);
  }
}
