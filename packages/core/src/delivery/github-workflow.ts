import type { Json } from "../canonical-json.ts";
import { checkLines, type Delivery, installLine, promoteLine } from "./delivery.ts";

/** A workflow of GitHub Actions (workflow syntax, docs.github.com/actions), as the document that its YAML says. */
export function githubWorkflow(delivery: Delivery): { [key: string]: Json } {
  const { branch, stacks, secrets } = delivery;
  const env = Object.fromEntries(secrets.map((name) => [name, `\${{ secrets.${name} }}`]));
  const prepare: Json[] = [
    { uses: "actions/checkout@v4" },
    { uses: "actions/setup-node@v4", with: { "node-version": "24" } },
    { run: installLine(delivery) },
  ];
  const promote = stacks.map((stack, index): [string, Json] => {
    const before = stacks[index - 1];
    const job = {
      if: "github.event_name == 'push'",
      ...(before === undefined ? {} : { needs: jobOf(before) }),
      "runs-on": "ubuntu-latest",
      // Rules of the environment (reviewers, wait timers) stand between this stack and the one before.
      environment: stack,
      concurrency: { group: `espalier-${stack}`, "cancel-in-progress": false },
      env,
      steps: [...prepare, { name: `Run on ${stack}`, run: promoteLine(delivery, stack) }],
    };
    return [jobOf(stack), job];
  });
  const comment =
    'gh pr comment "$PULL_REQUEST" --edit-last --create-if-none --body-file comment.md || gh pr comment "$PULL_REQUEST" --body-file comment.md';
  const check = {
    // Pull requests of forks see no secrets, so nothing could be run for them.
    if: "github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name == github.repository",
    "runs-on": "ubuntu-latest",
    permissions: { contents: "read", "pull-requests": "write" },
    env,
    steps: [
      ...prepare,
      { name: "Plan and run", run: checkLines(delivery).join("\n") },
      {
        name: "Say what it comes to",
        env: { GH_TOKEN: "${{ github.token }}", PULL_REQUEST: "${{ github.event.pull_request.number }}" },
        run: `cat comment.md >>"$GITHUB_STEP_SUMMARY"\n${comment}`,
      },
      { name: "Fail when the run failed", run: 'exit "$(cat status)"' },
    ],
  };
  return {
    name: `espalier ${delivery.pipeline}`,
    on: { pull_request: { branches: [branch] }, push: { branches: [branch] } },
    permissions: { contents: "read" },
    jobs: { check, ...Object.fromEntries(promote) },
  };
}

/** Job ids are letters, digits, `-` and `_`, and begin with a letter or `_`. */
const jobOf = (stack: string): string => `on-${stack.replaceAll(".", "_")}`;
