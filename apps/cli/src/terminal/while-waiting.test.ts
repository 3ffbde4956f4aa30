import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { whileWaiting } from "./while-waiting.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("what takes long says so once, what is quick says nothing, and neither changes the outcome", async () => {
  const told = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  expect(await whileWaiting("waiting", Promise.resolve(1))).toBe(1);
  await expect(whileWaiting("waiting", Promise.reject(new Error("no")))).rejects.toThrow("no");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).not.toHaveBeenCalled();
  const late = whileWaiting("waiting", new Promise((resolve) => setTimeout(() => resolve(2), 60_000)));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await late).toBe(2);
  expect(told.mock.calls).toEqual([["waiting\n"]]);
});
