import type { Json } from "../canonical-json.ts";
import { checkLines, type Delivery, installLine, promoteLine } from "./delivery.ts";

/** By commit, since whoever holds a tag can move it; the release that each is, for people and for tools that renew pins. */
export const pinnedActions = {
  "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683": "v4.2.2",
  "actions/setup-node@49933ea5288caeca8642d1e84afbd3f7d6820020": "v4.4.0",
} as const;
const [checkout, setupNode] = Object.keys(pinnedActions) as [string, string];

/** A workflow of GitHub Actions (workflow syntax, docs.github.com/actions), as the document that its YAML says. */
export function githubWorkflow(delivery: Delivery): { [key: string]: Json } {
  const { branch, stacks, secrets } = delivery;
  const env = Object.fromEntries(secrets.map((name) => [name, `\${{ secrets.${name} }}`]));
  const prepare: Json[] = [
    { uses: checkout },
    { uses: setupNode, with: { "node-version": "24" } },
    { run: installLine(delivery) },
  ];
  const jobs = jobIds(stacks);
  const promote = stacks.map((stack, index): [string, Json] => {
    const before = jobs[index - 1];
    const job = {
      if: "github.event_name == 'push'",
      ...(before === undefined ? {} : { needs: before }),
      "runs-on": "ubuntu-latest",
      // Rules of the environment (reviewers, wait timers) stand between this stack and the one before.
      environment: stack,
      concurrency: { group: `espalier-${stack}`, "cancel-in-progress": false },
      env,
      steps: [...prepare, { name: `Run on ${stack}`, run: promoteLine(delivery, stack) }],
    };
    return [jobs[index] ?? "", job];
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

/** Job ids are letters, digits, `-` and `_`, and begin with a letter or `_`; two stacks may differ in nothing else. */
function jobIds(stacks: readonly string[]): string[] {
  const taken = new Set<string>();
  return stacks.map((stack) => {
    const plain = `on-${stack.replaceAll(".", "_")}`;
    let id = plain;
    for (let number = 2; taken.has(id); number++) id = `${plain}-${number}`;
    taken.add(id);
    return id;
  });
}
