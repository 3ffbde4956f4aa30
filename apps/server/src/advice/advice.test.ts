import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import { readAnswers } from "@espalier/host";
import { expect, test } from "vitest";
import { makeProject, startForTest } from "../testing/control-plane.ts";

const example = new URL("../../../../docs/choosing/two-person-startup.yaml", import.meta.url);

test("the API asks what `espalier advise` asks, and answers as it does; contradictions are named", async () => {
  const project = await makeProject({
    "espalier.yaml": "project: shop\n",
    "advice.yaml": await readFile(example, "utf8"),
  });
  const { client, close } = await startForTest(project);
  const questions = await client.call("advice.questions");
  expect(questions.skills).toContain("kubernetes");
  expect(questions.weights["skills"]).toBe(25);
  const { answers } = questions;
  if (answers === undefined) throw new Error("advice.yaml was not read");
  const today = "2026-11-27";
  const advice = await client.call("advice.ask", { body: { answers, today } });
  expect(advice.outcome).toBe("none yet");
  const [secrets] = advice.advice;
  expect(secrets).toMatchObject({ place: { milestone: 0 }, verdict: expect.any(String) });
  for (const { choice } of advice.advice) {
    const sum = choice.reasons.reduce((total, { points }) => total + points, 0);
    expect(sum).toBeCloseTo(choice.score, 9);
  }
  // What the page gives to keep reads back as what was asked.
  await writeFile(join(project, "advice.yaml"), advice.answers);
  expect(await readAnswers(join(project, "advice.yaml"))).toEqual(answers);
  const impossible = { ...answers, bounds: { ...answers.bounds, air_gapped: true, providers: ["aws" as const] } };
  const refused = await client.call("advice.ask", { body: { answers: impossible, today } }).catch((error) => error);
  expect(refused).toBeInstanceOf(EspalierError);
  expect(refused.code).toBe("INVALID_INPUT");
  expect(refused.at).toContain("bounds.air_gapped");
  const people = [{ name: "Ada", skills: { cobol: 3 }, repairs: [] }];
  const unknown = await client
    .call("advice.ask", { body: { answers: { ...answers, people }, today } })
    .catch((error) => error);
  expect(unknown.message).toMatch(/cobol/);
  await close();
});
