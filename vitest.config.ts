import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "{packages,adapters,apps}/*/src/**/*.test.ts",
      "scripts/**/*.test.ts",
      "scenarios/**/*.test.ts",
      "examples/**/*.test.ts",
    ],
    // Generous: a busy machine must not fail a test that only waits for its turn.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    pool: "forks",
    // By default one core is left free, and of two that is half the time.
    maxWorkers: "100%",
  },
});
