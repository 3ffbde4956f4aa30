import { expect, test } from "vitest";
import { runOrigin } from "./run-origin.ts";

test("a job of GitHub or GitLab is told, and nothing else is taken for one", () => {
  const github = { GITHUB_ACTIONS: "true", GITHUB_REPOSITORY: "acme/flights", GITHUB_RUN_ID: "17" };
  expect(runOrigin(github)).toBe("ci:github/acme/flights#17");
  expect(runOrigin({ GITLAB_CI: "true", CI_PROJECT_PATH: "acme/flights", CI_JOB_ID: "18" })).toBe(
    "ci:gitlab/acme/flights#18",
  );
  expect(runOrigin({ CI: "true" })).toBeUndefined();
  expect(runOrigin({ ...github, GITHUB_RUN_ID: undefined })).toBeUndefined();
});
