import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "{packages,adapters,apps}/*/src/**/*.test.ts",
      "scripts/**/*.test.ts",
      "scenarios/**/*.test.ts",
      "examples/**/*.test.ts",
    ],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
  },
});
