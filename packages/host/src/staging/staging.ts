import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Artifacts,
  EspalierError,
  type LocalWork,
  type RemoteWork,
  renderCommand,
  type SecretStore,
  type Staging,
  stepVariables,
  type WorkOrder,
} from "@espalier/core";
import { entryPoint } from "../entry-points.ts";
import { type AttemptFolder, attemptFolder, isThere, makeFolder, readRange, sizeOf } from "./attempt-folder.ts";
import { collectOutputs } from "./collect.ts";
import { readEventFile } from "./events.ts";
import { gatherBranches } from "./gather.ts";
import { holdsSecret, maskBytes, maskFile, maskInPlace, secretBytes } from "./mask.ts";
import { layOutUploads, readLastWord, writeOrder } from "./remote-attempts.ts";
import { knownSecrets, revealSecrets } from "./secrets.ts";
import { keepToken, readToken } from "./token.ts";
import { inheritedVariables, portableVariables, withBinFolder } from "./variables.ts";

export interface StagingOptions {
  /** `<project>/.espalier` */
  stateFolder: string;
  artifacts: Artifacts;
  secrets: SecretStore;
  /** Folder with the programs of a locked Python environment; makes the environment when it is not there yet. */
  pythonBin(environment: NonNullable<WorkOrder["environment"]>, order: WorkOrder): Promise<string>;
  /** Makes the Python environment of a model folder; gives its `python`. undefined: the model needs none. */
  modelPython?(folder: string, label: string): Promise<string | undefined>;
  /** Further variables of a step that runs code of the user's, such as MLFLOW_TRACKING_URI. */
  variables?: StepVariables;
  /** Makes a bearer token that is good for this attempt, as long as it lives. Kept in the attempt's folder and masked like a secret. */
  mintToken?(order: WorkOrder): Promise<string>;
  /** How a launcher elsewhere reaches this control plane for one attempt. Absent: steps can only run here. */
  remote?(order: WorkOrder, token: string): RemoteWork;
  environment?: NodeJS.ProcessEnv;
}

/** `token` is the attempt's own; `elsewhere`: the step runs on another machine than the control plane; `launched`: a launcher starts it there. */
export type StepVariables = (
  order: WorkOrder,
  context: { token: string; elsewhere: boolean; launched?: boolean },
) => Promise<Readonly<Record<string, string>>>;

const tailBytes = 64 * 1024;
const keepEndedMilliseconds = 7 * 24 * 3600 * 1000;
const keepUnknownMilliseconds = 60 * 24 * 3600 * 1000;

export interface HostStaging extends Staging {
  /** Removes folders of attempts that ended more than seven days ago, and whatever nobody has touched for sixty. */
  cleanUp(): Promise<void>;
}

export function createStaging(options: StagingOptions): HostStaging {
  const { artifacts, stateFolder } = options;
  const folderOf = (attemptId: string): AttemptFolder => attemptFolder(stateFolder, attemptId);

  async function ownVariables(order: WorkOrder, elsewhere: boolean): Promise<Readonly<Record<string, string>>> {
    if (options.variables === undefined || "builtin" in order.program) return {};
    return options.variables(order, { token: await tokenOf(order), elsewhere });
  }

  const tokenOf = (order: WorkOrder): Promise<string> =>
    keepToken(folderOf(order.attemptId), async () => (await options.mintToken?.(order)) ?? "");

  /** Built-in steps that run models run those of Python in the models' own environments. */
  async function modelPythons(order: WorkOrder, folder: AttemptFolder): Promise<string | undefined> {
    // A built-in with an environment of its own brings what it needs.
    if (!("builtin" in order.program) || order.environment !== undefined) return undefined;
    if (options.modelPython === undefined) return undefined;
    const programs: Record<string, string> = {};
    for (const [name, ref] of Object.entries(order.inputs)) {
      if (ref.type !== "model") continue;
      const program = await options.modelPython(
        join(folder.inputs, name),
        `the model \`${name}\` of step ${order.step}`,
      );
      if (program !== undefined) programs[name] = program;
    }
    return Object.keys(programs).length === 0 ? undefined : JSON.stringify(programs);
  }

  async function prepareLocal(order: WorkOrder, elsewhere: boolean): Promise<LocalWork> {
    const folder = folderOf(order.attemptId);
    const secrets = await revealSecrets(options.secrets, order);
    const bin = order.environment ? await options.pythonBin(order.environment, order) : undefined;
    const checkpoint = join(stateFolder, "checkpoints", order.checkpoint ?? "");
    // What was submitted already reads its folder: laying it out again would pull it from under the step.
    if (!(await isThere(join(folder.root, "identity")))) {
      await makeFolder(folder);
      if (order.checkpoint !== undefined) await mkdir(checkpoint, { recursive: true });
      await Promise.all([
        ...Object.entries(order.inputs).map(([name, ref]) => artifacts.materialise(ref, join(folder.inputs, name))),
        laySource(artifacts, order, folder),
        writeFile(folder.events, ""),
        writeFile(folder.log, ""),
      ]);
    }
    const pythons = await modelPythons(order, folder);
    const variables = {
      ...inheritedVariables(options.environment ?? process.env),
      ...portableVariables(order),
      ...(await ownVariables(order, elsewhere)),
      [stepVariables.inputs]: folder.inputs,
      [stepVariables.outputs]: folder.outputs,
      [stepVariables.events]: folder.events,
      ...(order.checkpoint === undefined ? {} : { [stepVariables.checkpoint]: checkpoint }),
      ...(pythons === undefined ? {} : { [stepVariables.modelPythons]: pythons }),
      ...secrets,
    };
    return {
      kind: "local",
      command: commandOf(order),
      workingDirectory: folder.source,
      attemptDirectory: folder.root,
      variables: withBinFolder(variables, bin),
    };
  }

  async function prepareRemote(order: WorkOrder): Promise<RemoteWork> {
    if (!options.remote) {
      throw new EspalierError("UNREACHABLE", "A step elsewhere can not reach this control plane", {
        at: "control_plane.url",
        hint: "Set `control_plane.url` in espalier.yaml to an address that the step's machine can reach.",
      });
    }
    if ("typescript" in order.program) {
      throw new EspalierError("UNSUPPORTED", `The step ${order.step} is written in TypeScript and runs only here`, {
        at: `steps.${order.step}.compute`,
        hint: "Leave `compute:` out of it.",
      });
    }
    const folder = folderOf(order.attemptId);
    if (!(await isThere(folder.root))) await makeFolder(folder);
    await writeOrder(folder, order);
    return options.remote(order, await tokenOf(order));
  }

  return {
    prepare: (order, sharesFiles, context) =>
      sharesFiles ? prepareLocal(order, context?.elsewhere ?? false) : prepareRemote(order),
    async collect(order) {
      const folder = folderOf(order.attemptId);
      await checkHeldHere(folder, order.attemptId);
      await layOutUploads(artifacts, folder);
      return collectOutputs(artifacts, order, folder);
    },
    async gather(branches) {
      await mkdir(join(stateFolder, "attempts"), { recursive: true });
      return gatherBranches(artifacts, join(stateFolder, "attempts"), branches);
    },
    async readEvents(attemptId, offset, secrets = []) {
      const folder = folderOf(attemptId);
      return readEventFile(folder.events, offset, await knownSecrets(options.secrets, secrets, folder));
    },
    async closeLog(order, tailLines) {
      const folder = folderOf(order.attemptId);
      const size = await sizeOf(folder.log);
      if (size === undefined || size === 0) return { tail: "" };
      const token = await readToken(folder);
      const revealed = Object.values(await revealSecrets(options.secrets, order));
      const secrets = secretBytes(token === undefined ? revealed : [...revealed, token]);
      const start = Math.max(0, size - tailBytes);
      const end = tailLines === 0 ? "" : await readTail(folder.log, start, secrets);
      const masked = join(folder.root, "log.masked");
      const tells = await holdsSecret(folder.log, secrets);
      if (tells) await maskFile(folder.log, masked, secrets);
      const log = await artifacts.putFile(tells ? masked : folder.log, "file");
      return { log, tail: end.trimEnd().split("\n").slice(-tailLines).join("\n") };
    },
    lastWord: (attemptId) => readLastWord(folderOf(attemptId)),
    async discard(order, succeeded) {
      const folder = folderOf(order.attemptId);
      // What failed keeps its log and outputs for a look, without secrets; its inputs are copies and may be large.
      const secrets = await knownSecrets(options.secrets, order.secrets, folder);
      if (!succeeded && secrets.length > 0)
        await maskInPlace([folder.log, folder.events, ...(await membersFiles(folder))], secrets);
      if (!succeeded) await rm(folder.token, { force: true });
      await rm(succeeded ? folder.root : folder.inputs, { recursive: true, force: true });
      if (succeeded && order.checkpoint !== undefined) {
        await rm(join(stateFolder, "checkpoints", order.checkpoint), { recursive: true, force: true });
      }
    },
    async cleanUp() {
      const attempts = join(stateFolder, "attempts");
      if (!(await isThere(attempts))) return;
      for (const name of await readdir(attempts)) {
        const path = join(attempts, name);
        const ages = await Promise.all(["", "log", "events.jsonl"].map((file) => ageOf(join(path, file))));
        const age = Math.min(...ages);
        const ended = (await isThere(join(path, "exit.json"))) || (await isThere(join(path, "launcher-exit.json")));
        // What is gone by now is being laid out anew by an attempt that was taken over: removing it would take the step's inputs away.
        if (Number.isFinite(age) && age > (ended ? keepEndedMilliseconds : keepUnknownMilliseconds)) {
          await rm(path, { recursive: true, force: true });
        }
      }
    },
  };
}

/** What the step left may lie with a control plane that drove this run before. Retryable, so that the attempt counts as lost. */
async function checkHeldHere(folder: AttemptFolder, attemptId: string): Promise<void> {
  const held = await isThere(folder.root);
  const launched = held && (await isThere(join(folder.root, "order.json")));
  if (held && (!launched || (await readLastWord(folder)) !== undefined)) return;
  throw new EspalierError("UNAVAILABLE", `What attempt ${attemptId} left was told to another control plane`, {
    hint: "`retry: { attempts: 2, causes: [lost] }` makes such a step anew.",
  });
}

/** What the members of a gang on this machine said, other than the first. */
async function membersFiles(folder: AttemptFolder): Promise<string[]> {
  const ranks = join(folder.root, "ranks");
  if (!(await isThere(ranks))) return [];
  const members = await readdir(ranks);
  return members.flatMap((rank) => ["log", "events.jsonl"].map((file) => join(ranks, rank, file)));
}

/** Milliseconds since the last change; infinite when nothing is there. */
async function ageOf(path: string): Promise<number> {
  return (await isThere(path)) ? Date.now() - (await stat(path)).mtimeMs : Number.POSITIVE_INFINITY;
}

async function readTail(path: string, start: number, secrets: readonly Buffer[]): Promise<string> {
  // From a little before the tail, so that a secret is seen whole where the tail begins inside it.
  const before = Math.min(start, secrets[0]?.length ?? 0);
  const bytes = maskBytes(Buffer.from(await readRange(path, start - before, before + tailBytes)), secrets);
  return bytes.subarray(before).toString("utf8");
}

async function laySource(artifacts: Artifacts, order: WorkOrder, folder: AttemptFolder): Promise<void> {
  if (order.source === undefined) await mkdir(folder.source);
  else if (order.sourceName === undefined) await artifacts.materialise(order.source, folder.source);
  else {
    await mkdir(folder.source);
    await artifacts.materialise(order.source, join(folder.source, order.sourceName));
  }
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function commandOf(order: WorkOrder): string {
  if ("run" in order.program) return renderCommand(order);
  const [main, argument] =
    "builtin" in order.program
      ? [entryPoint("builtin-step"), order.program.builtin]
      : [entryPoint("typescript-step"), order.program.typescript];
  return `exec ${[process.execPath, main, argument].map(quote).join(" ")}`;
}
