import { delimiter } from "node:path";
import { commandExpressions, stepVariables, type WorkOrder } from "@espalier/core";

/**
 * What a step inherits of the control plane's own environment: enough to find programs, certificates and devices. All else stays out, so
 * that neither a credential of the control plane nor a setting of somebody's shell decides what a step does.
 */
const inherited = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "TZ",
  "TMPDIR",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "REQUESTS_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "LD_LIBRARY_PATH",
  "JAVA_HOME",
  "CUDA_HOME",
  "CUDA_VISIBLE_DEVICES",
];

/** Thread pools that would otherwise take every core of the machine. */
const threadVariables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"];

export function inheritedVariables(environment: NodeJS.ProcessEnv): Record<string, string> {
  const names = inherited.concat(Object.keys(environment).filter((name) => name.startsWith("LC_")));
  const variables = Object.fromEntries(
    names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
  return { ...variables, ...proxyExceptions(variables) };
}

const thisMachine = ["127.0.0.1", "localhost", "::1"];

/** What a step sends to the control plane of its own machine must not go to the proxy that leads out of it. */
function proxyExceptions(variables: Readonly<Record<string, string>>): Record<string, string> {
  if (!["HTTP_PROXY", "http_proxy"].some((name) => variables[name])) return {};
  const given = (variables["no_proxy"] ?? variables["NO_PROXY"] ?? "").split(",").map((name) => name.trim());
  if (given.includes("*")) return {};
  const all = [...new Set([...given.filter((name) => name !== ""), ...thisMachine])].join(",");
  return { NO_PROXY: all, no_proxy: all };
}

/** Variables that are the same wherever the step runs; those that hold paths are added by whoever lays out the folders. */
export function portableVariables(order: WorkOrder): Record<string, string> {
  const variables: Record<string, string> = {
    [stepVariables.params]: JSON.stringify(order.params),
    [stepVariables.runId]: order.runId,
    [stepVariables.step]: order.step,
    [stepVariables.attemptId]: order.attemptId,
    // Lines of a log should appear when they are printed, not when a buffer is full.
    PYTHONUNBUFFERED: "1",
  };
  if ("run" in order.program) {
    // Only a command that names the date has it in its cache key; any other that read it would be cached for the wrong day.
    const namesDate = commandExpressions(order.program.run).some((expression) => expression.kind === "run.date");
    if (namesDate) variables[stepVariables.runDate] = order.logicalDate;
  } else {
    if ("builtin" in order.program && order.program.implementation !== undefined) {
      variables[stepVariables.builtinImplementation] = order.program.implementation;
    }
    variables[stepVariables.with] = JSON.stringify(order.with);
    variables[stepVariables.outputNames] = JSON.stringify(Object.keys(order.outputs));
    variables[stepVariables.outputTypes] = JSON.stringify(
      Object.fromEntries(Object.entries(order.outputs).map(([name, { type }]) => [name, type])),
    );
  }
  if (order.resources.cpu !== undefined) {
    const threads = String(Math.max(1, Math.floor(order.resources.cpu)));
    for (const name of threadVariables) variables[name] = threads;
  }
  return variables;
}

export function withBinFolder(
  variables: Record<string, string>,
  binFolder: string | undefined,
): Record<string, string> {
  if (binFolder === undefined) return variables;
  const path = variables.PATH === undefined ? binFolder : `${binFolder}${delimiter}${variables.PATH}`;
  // Python leaves its own environment when it finds a foreign home.
  return { ...variables, PATH: path, VIRTUAL_ENV: binFolder.replace(/[\\/][^\\/]+$/, "") };
}
