import { defineConfig } from 'vitest/config';

/** The page. Addresses are relative, so that the gateway's router may be nested under another path. */
export default defineConfig({
  base: './',
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    emptyOutDir: true,
  },
  test: {
    reporters: ['default', './client/test/reporter.ts'],
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 90_000,
          hookTimeout: 600_000,
          // Two cores: what is measured must not be disturbed by another test.
          fileParallelism: false,
        },
      },
    ],
  },
});
