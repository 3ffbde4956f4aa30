import type { Command } from "commander";

/** A command module exports `command()`, which declares options and actions; it is loaded only when it is called. */
export interface CommandModule {
  command(): Command;
}

interface CommandEntry {
  summary: string;
  load: () => Promise<CommandModule>;
}

/** Every command: the help page is rendered from this table alone, so that `espalier --help` loads none of them. */
export const commandTable: Readonly<Record<string, Readonly<Record<string, CommandEntry>>>> = {
  Start: {
    init: {
      summary: "Start a project: an example, or --here around your own scripts",
      load: () => import("./commands/init.ts"),
    },
    doctor: {
      summary: "Check the machine, the project and the stored data",
      load: () => import("./commands/doctor.ts"),
    },
    advise: { summary: "Which tool at each milestone, and why", load: () => import("./commands/advise.ts") },
    move: { summary: "Carry the project from one stack to another", load: () => import("./commands/move.ts") },
    maturity: {
      summary: "The project held against MLOps maturity models",
      load: () => import("./commands/maturity.ts"),
    },
    ci: { summary: "Write a workflow for GitHub or GitLab", load: () => import("./commands/ci.ts") },
    up: { summary: "Run the control plane: API, schedules, monitors", load: () => import("./commands/up.ts") },
  },
  Pipelines: {
    plan: { summary: "What a run would do, before anything runs", load: () => import("./commands/plan.ts") },
    run: { summary: "Run a pipeline", load: () => import("./commands/run.ts") },
    why: { summary: "Why a step ran or was cached", load: () => import("./commands/why.ts") },
    runs: { summary: "List, show and compare runs", load: () => import("./commands/runs.ts") },
    logs: { summary: "Print or follow the log of a step", load: () => import("./commands/logs.ts") },
    cancel: { summary: "Stop a run", load: () => import("./commands/cancel.ts") },
    resume: { summary: "Go on with a run that failed or was interrupted", load: () => import("./commands/resume.ts") },
    approve: { summary: "Let a waiting step go on, or refuse it", load: () => import("./commands/approve.ts") },
    schedule: { summary: "List, pause and backfill schedules", load: () => import("./commands/schedule.ts") },
  },
  "Data and models": {
    dataset: {
      summary: "Log, list, show, diff and check out dataset versions",
      load: () => import("./commands/dataset.ts"),
    },
    model: { summary: "List, show and promote model versions", load: () => import("./commands/model.ts") },
    package: {
      summary: "Make an image of a model and its server, and push it",
      load: () => import("./commands/package.ts"),
    },
    import: { summary: "Bring runs and models from MLflow", load: () => import("./commands/import.ts") },
    export: { summary: "Take runs and models, or a pipeline, elsewhere", load: () => import("./commands/export.ts") },
    gc: { summary: "Preview or remove artifacts that nothing uses", load: () => import("./commands/gc.ts") },
  },
  Endpoints: {
    apply: { summary: "Serve what espalier.yaml declares", load: () => import("./commands/apply.ts") },
    deploy: { summary: "Serve a model version", load: () => import("./commands/deploy.ts") },
    rollback: { summary: "Return an endpoint to what it served before", load: () => import("./commands/rollback.ts") },
    predict: {
      summary: "Ask an endpoint for predictions, or predict files",
      load: () => import("./commands/predict.ts"),
    },
    monitor: { summary: "Show and evaluate monitors", load: () => import("./commands/monitor.ts") },
    simulate: { summary: "Replay data as traffic, day by day", load: () => import("./commands/simulate.ts") },
    report: { summary: "The story of a project as one page", load: () => import("./commands/report.ts") },
  },
  Settings: {
    stack: { summary: "List, show and choose stacks", load: () => import("./commands/stack.ts") },
    secret: { summary: "Set, list and delete secrets", load: () => import("./commands/secret.ts") },
    token: { summary: "Create, list and revoke tokens", load: () => import("./commands/token.ts") },
  },
};
