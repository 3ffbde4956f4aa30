import type { Json } from "../canonical-json.ts";
import { commentMarker } from "./comment.ts";
import { checkLines, type Delivery, installLine, promoteLine } from "./delivery.ts";

/** A pipeline of GitLab CI (`.gitlab-ci.yml`, docs.gitlab.com/ci/yaml), as the document that its YAML says. Its secrets are the project's CI variables. */
export function gitlabPipeline(delivery: Delivery): { [key: string]: Json } {
  const { stacks, branch } = delivery;
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
      script: [...checkLines(delivery), noteLines(delivery), 'exit "$(cat status)"'],
      artifacts: { when: "always", paths: ["plan.json", "run.json", "comment.md"] },
      rules: [
        { if: `$CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == "${branch}"` },
      ],
    },
    ...Object.fromEntries(promote),
  };
}

/** One note a pipeline, renewed with each push: its first line, which people do not see, finds it again. */
function noteLines(delivery: Delivery): string {
  const curl = 'curl --fail --silent --show-error --header "PRIVATE-TOKEN: $ESPALIER_GITLAB_TOKEN"';
  const find = `let text = ""; process.stdin.on("data", (more) => (text += more)).on("end", () => console.log(JSON.parse(text).find(({ body }) => body.startsWith("${commentMarker(delivery.pipeline)}"))?.id ?? ""))`;
  return [
    'notes="$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes"',
    `note=$(${curl} "$notes?sort=asc&per_page=100" | node -e '${find}')`,
    `if test -n "$note"; then ${curl} --request PUT --form "body=<comment.md" "$notes/$note"; else ${curl} --request POST --form "body=<comment.md" "$notes"; fi`,
  ].join("\n");
}
