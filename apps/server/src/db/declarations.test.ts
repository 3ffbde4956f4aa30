import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "./testing/databases.ts";

describeOnBoth("declarations of endpoints", await startPostgres(), (database) => {
  test("what was acted on stays known when it is applied again; what came of an older text is ignored", async () => {
    const { declarations } = await database.open();
    const first = await declarations.apply("flights", { model: "m@champion" }, "ana");
    expect(first).toMatchObject({ state: "pending", tries: 0, dueAt: 0, appliedBy: "ana" });
    const failed = { state: "failed", code: "UNAVAILABLE", message: "away", target: "m/1", settings: "s" } as const;
    await declarations.settle(first, { ...failed, tried: true, againInMilliseconds: 60_000 });
    const again = await declarations.get("flights");
    expect(again).toMatchObject({ ...failed, tries: 1 });
    expect(again?.dueAt).toBeGreaterThan(first.appliedAt + 59_000);

    const second = await declarations.apply("flights", { model: "m/2" }, "bo");
    expect(second).toMatchObject({ state: "pending", target: "m/1", settings: "s", tries: 0, dueAt: 0 });
    expect(second).not.toHaveProperty("message");
    await declarations.settle(first, { state: "settled", target: "m/1", tried: true });
    expect(await declarations.get("flights")).toMatchObject({ state: "pending" });
    await declarations.settle(second, { state: "settled", target: "m/2", tried: true });
    expect(await declarations.all()).toMatchObject([{ name: "flights", state: "settled", target: "m/2", tries: 0 }]);
    await declarations.delete("flights");
    await declarations.delete("flights");
    expect(await declarations.all()).toEqual([]);
  });
});
