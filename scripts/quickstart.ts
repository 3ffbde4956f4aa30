import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * `npm run quickstart`: the whole loop on 3,000,000 real flights, with nothing but the commands a user would type, in a fresh copy of
 * the example under quickstart/. The data is a file of the npm package vega-datasets (US Bureau of Transportation Statistics, 2001).
 */
const root = resolve(import.meta.dirname, "..");
const project = join(root, "quickstart/flights-delay");
const started = Date.now();

function espalier(expected: number, ...words: string[]): void {
  const since = Date.now();
  console.log(`\n\u001b[1m$ espalier ${words.join(" ")}\u001b[0m`);
  const inProject = words[0] === "init" ? [] : ["--project", project];
  const result = spawnSync(process.execPath, [join(root, "apps/cli/src/main.ts"), ...words, ...inProject], {
    stdio: "inherit",
  });
  if (result.status !== expected) {
    console.error(`\`espalier ${words.join(" ")}\` ended with ${result.status ?? result.signal}, not with ${expected}`);
    process.exit(1);
  }
  console.log(`(${((Date.now() - since) / 1000).toFixed(1)} s)`);
}

function say(text: string): void {
  console.log(`\n\u001b[36m${text}\u001b[0m`);
}

if (existsSync(join(project, ".espalier"))) {
  say("An earlier quickstart is there: its endpoint is stopped, and the folder made anew.");
  spawnSync(
    process.execPath,
    [join(root, "apps/cli/src/main.ts"), "deploy", "flights", "--delete", "--project", project],
    {
      stdio: "inherit",
    },
  );
}
rmSync(project, { recursive: true, force: true });

say("The web UI, which `espalier up` serves");
const built = spawnSync("npm", ["run", "--silent", "build", "-w", "@espalier/web", "--", "--logLevel", "error"], {
  cwd: root,
  stdio: "inherit",
});
if (built.status !== 0) process.exit(1);

say("A project of its own, a copy of the example, and the data beside it");
espalier(0, "init", project, "--example", "flights-delay");
mkdirSync(join(project, "data"), { recursive: true });
copyFileSync(
  join(root, "node_modules/vega-datasets/data/flights-3m.parquet"),
  join(project, "data/flights-3m.parquet"),
);

say("What would run, before anything runs");
espalier(0, "plan", "train");

say("Milestones 1 to 11: version, validate, build features, train, track, evaluate, judge, register, package, deploy");
espalier(0, "run", "train");

say("Again: all cached, the deployment unchanged");
espalier(0, "run", "train");

say("One parameter changed, only planned: what depends on it would run");
espalier(0, "plan", "train", "-p", "learning_rate=0.05");

say("A candidate that was trained on a broken feature (on purpose): the gate refuses it, exit code 1");
espalier(1, "run", "train", "-p", "break_feature=true");

say("Milestones 12 and 13: April to June day by day; monitors watch, retraining goes through the gate");
espalier(0, "simulate", "flights");

say("What happened");
espalier(0, "runs", "list");
espalier(0, "model", "show", "flights-delay");
espalier(0, "monitor", "list");
espalier(0, "report");
espalier(0, "deploy", "flights", "--delete");
say(
  `The whole loop took ${Math.round((Date.now() - started) / 1000)} s. The project is ${project}; look around: cd there; \`npx espalier up\` prints a link to the web UI, \`npx espalier runs list\` lists.`,
);
