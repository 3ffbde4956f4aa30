import { expect, test } from "vitest";
import { startPostgres } from "../../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../testing/databases.ts";

const clients = Array.from({ length: 8 }, (_, index) => String(index));

describeOnBoth("changes that meet", await startPostgres(), (database) => {
  test("a tag that is made of its old value keeps what everybody added", async () => {
    const { tracking } = await database.open();
    const run = { id: "r", experimentId: "0", parentRunId: undefined, name: "r", userId: "u", startTime: 1, tags: [] };
    await tracking.runs.create(run);
    await Promise.all(clients.map((one) => tracking.runs.changeTag("r", "t", (old = "") => old + one)));
    const tags = (await tracking.runs.get("r"))?.tags ?? [];
    const value = tags.find(({ key }) => key === "t")?.value ?? "";
    expect([...value].sort()).toEqual(clients);
  });

  test("of several values for one parameter of a logged model one is kept, and all others are told so", async () => {
    const { loggedModels } = await database.open();
    const made = await loggedModels.create({ experimentId: "0", name: "m", params: [], tags: [] });
    if (made.kind !== "created") throw new Error(made.kind);
    const { id } = made.model;
    for (const key of clients) {
      const outcomes = await Promise.all(clients.map((value) => loggedModels.logParams(id, [{ key, value }])));
      const kept = (await loggedModels.get(id))?.params.find((param) => param.key === key)?.value ?? "";
      expect(outcomes.map((outcome) => outcome?.stored)).toEqual(
        clients.map((value) => (value === kept ? undefined : kept)),
      );
    }
  });
});
