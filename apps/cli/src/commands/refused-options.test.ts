import { expect, test } from "vitest";
import { command as deploy } from "./deploy.ts";
import { command as predict } from "./predict.ts";

const words = (line: string): string[] => line.split(" ");

// None of these reaches a project: they are refused before one is looked for.
test.each([
  ["flights flights@1 --steps 0.5,1", "--steps is of a canary, and the strategy is all"],
  ["flights flights@1 --strategy blue-green --weight 0.1", "--weight is of a canary, and the strategy is blue-green"],
  ["flights flights@1 --strategy canary --mirror 0.1", "--mirror is of a shadow, and the strategy is canary"],
  ["flights flights@1 --delete", "--delete serves no version"],
  ["--history", "--history is of an endpoint, and none is named"],
])("deploy %s is refused: nothing that is said is passed over", async (line, message) => {
  await expect(deploy().parseAsync(words(line), { from: "user" })).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message,
  });
});

test.each([
  ["flights --input rows.csv", "--input is for --batch"],
  ["flights --skip-bad-rows -d {}", "--skip-bad-rows is for --batch"],
  ["flights --batch --input rows.csv --output out -d {}", "--data is not for --batch"],
  ["flights -d {} -f body.json", "The body is given twice, by --data and by --file"],
  ["flights -d {} --protocol v9", '"v9" is no protocol'],
  ["flights --batch --threads 0", "--threads takes a whole number of at least 1, got 0"],
  ["flights --batch --threshold high", '--threshold takes a number, got "high"'],
  ["flights --batch --partition date", '"date" is not name=value'],
])("predict %s is refused", async (line, message) => {
  await expect((async () => predict().parseAsync(words(line), { from: "user" }))()).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message,
  });
});
