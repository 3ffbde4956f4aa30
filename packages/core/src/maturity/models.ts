import type { EvidenceKind } from "./evidence.ts";

export interface Criterion {
  says: string;
  provenBy: EvidenceKind;
  atLeast: number;
  /** The next step where it is missing. */
  next: string;
}

export interface Level {
  level: number;
  name: string;
  criteria: readonly Criterion[];
}

export interface MaturityModel {
  id: "google" | "microsoft";
  name: string;
  source: string;
  /** From the lowest. The lowest asks for nothing. */
  levels: readonly Level[];
}

const trainsByPipeline: Criterion = {
  says: "training is a pipeline that runs as a whole",
  provenBy: "pipelineRuns",
  atLeast: 1,
  next: "run one to its end: espalier run",
};
const tracked: Criterion = {
  says: "parameters, metrics and outputs of runs are kept in one place",
  provenBy: "trackedRuns",
  atLeast: 2,
  next: "log metrics from the training step: `import mlflow`, or lines in $ESPALIER_EVENTS (docs/tracking.md)",
};
const dataVersioned: Criterion = {
  says: "data have versions",
  provenBy: "datasetVersions",
  atLeast: 1,
  next: "start the pipeline with `uses: dataset`, or: espalier dataset log <name> <path>",
};
const dataValidated: Criterion = {
  says: "data are validated before training",
  provenBy: "validations",
  atLeast: 1,
  next: "add a step `uses: validate` with rules (docs/validation.md)",
};
const modelValidated: Criterion = {
  says: "a candidate is judged against what serves before it goes on",
  provenBy: "verdicts",
  atLeast: 1,
  next: "add a step `uses: gate` with a policy (docs/gates.md)",
};
const trainedAgain: Criterion = {
  says: "models are trained again without anybody's hand",
  provenBy: "scheduledRuns",
  atLeast: 2,
  next: "give the pipeline a `schedule:` and leave `espalier up` running",
};
const registered: Criterion = {
  says: "models are registered by the runs that made them",
  provenBy: "registrations",
  atLeast: 1,
  next: "add a step `uses: register` behind the gate",
};
const deployed: Criterion = {
  says: "models are deployed by the pipeline",
  provenBy: "runDeployments",
  atLeast: 1,
  next: "add a step `uses: deploy` behind `register` (docs/serving.md)",
};
const watched: Criterion = {
  says: "what serves is watched",
  provenBy: "monitorReports",
  atLeast: 1,
  next: "declare a monitor of the endpoint (docs/monitoring.md)",
};
const integrated: Criterion = {
  says: "changes of the pipeline are built and tested by continuous integration",
  provenBy: "continuousIntegrationRuns",
  atLeast: 1,
  next: "espalier ci init github, or: espalier ci init gitlab (docs/delivery.md)",
};
const judged: Criterion = {
  says: "a new version meets live traffic step by step, and is taken back by itself",
  provenBy: "judgedRollouts",
  atLeast: 1,
  next: "deploy with `strategy: canary`, `shadow` or `blue-green`",
};
const triggered: Criterion = {
  says: "what is seen in production starts a training",
  provenBy: "triggeredRuns",
  atLeast: 1,
  next: "give the monitor a pipeline to start when it alerts (docs/monitoring.md)",
};
const closed: Criterion = {
  says: "an alert led to a training, and that to a version in production, without anybody's hand",
  provenBy: "closedLoops",
  atLeast: 1,
  next: "let the pipeline that the monitor starts end in `uses: deploy`",
};

/** What each level asks for, as far as a record can prove it: of people and culture, which both models speak of, it knows nothing. */
export const maturityModels: readonly MaturityModel[] = [
  {
    id: "google",
    name: "Google Cloud, MLOps: continuous delivery and automation pipelines in machine learning",
    source:
      "https://cloud.google.com/architecture/mlops-continuous-delivery-and-automation-pipelines-in-machine-learning",
    levels: [
      { level: 0, name: "manual process", criteria: [] },
      {
        level: 1,
        name: "ML pipeline automation",
        criteria: [trainsByPipeline, tracked, dataValidated, modelValidated, trainedAgain, deployed, watched],
      },
      {
        level: 2,
        name: "CI/CD pipeline automation",
        criteria: [integrated, dataVersioned, registered, triggered, judged],
      },
    ],
  },
  {
    id: "microsoft",
    name: "Microsoft, machine learning operations maturity model",
    source: "https://learn.microsoft.com/azure/architecture/ai-ml/guide/mlops-maturity-model",
    levels: [
      { level: 0, name: "no MLOps", criteria: [] },
      { level: 1, name: "DevOps but no MLOps", criteria: [integrated] },
      { level: 2, name: "automated training", criteria: [trainsByPipeline, tracked, dataVersioned, registered] },
      { level: 3, name: "automated model deployment", criteria: [modelValidated, deployed, judged] },
      { level: 4, name: "full MLOps automated operations", criteria: [watched, trainedAgain, triggered, closed] },
    ],
  },
];
