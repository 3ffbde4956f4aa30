import type { Json } from "../canonical-json.ts";
import { checkLines, type Delivery, installLine, promoteLine } from "./delivery.ts";

/** A pipeline of GitLab CI (`.gitlab-ci.yml`, docs.gitlab.com/ci/yaml), as the document that its YAML says. Its secrets are the project's CI variables. */
export function gitlabPipeline(delivery: Delivery): { [key: string]: Json } {
  const { stacks, branch } = delivery;
  const note =
    'curl --fail --silent --show-error --request POST --header "PRIVATE-TOKEN: $ESPALIER_GITLAB_TOKEN" --form "body=<comment.md" "$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes"';
  const promote = stacks.map((stack): [string, Json] => [
    `on-${stack}`,
    {
      stage: `on-${stack}`,
      script: [promoteLine(delivery, stack)],
      environment: { name: stack },
      // One run at a time on a stack.
      resource_group: `espalier-${stack}`,
      rules: [{ if: `$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "${branch}"` }],
    },
  ]);
  return {
    image: "node:24",
    stages: ["check", ...stacks.map((stack) => `on-${stack}`)],
    default: { before_script: [installLine(delivery)] },
    check: {
      stage: "check",
      script: [...checkLines(delivery), note, 'exit "$(cat status)"'],
      artifacts: { when: "always", paths: ["plan.json", "run.json", "comment.md"] },
      rules: [
        { if: `$CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == "${branch}"` },
      ],
    },
    ...Object.fromEntries(promote),
  };
}
