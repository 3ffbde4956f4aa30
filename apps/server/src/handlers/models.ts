import type { ModelVersion } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";
import { wakeDeclarations } from "../endpoints/follow-declarations.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { wakeNotices } from "../notices/notices.ts";
import { actorOf } from "./actor.ts";

export function modelHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"models"> | NamesUnder<"verdicts">> {
  const { record } = plane;
  const modelOf = async (name: string) => {
    const model = await record.models.get(name);
    if (model !== undefined) return model;
    throw new EspalierError("NOT_FOUND", `There is no model ${name}`, {
      hint: "`espalier model list` shows those there are.",
    });
  };
  return {
    "models.list": ({ query }) => record.models.list(query),
    "models.show": ({ params }) => modelOf(params.name),
    "models.versions": async ({ params, query }) => {
      await modelOf(params.name);
      const page = await record.models.versions(params.name, query);
      return { ...page, items: page.items.map(versionOf) };
    },
    "models.version": async ({ params }) =>
      versionOf(await requireVersion(plane, params.name, versionReference(params.version))),
    "models.promote": async (input) => {
      const { name, alias } = input.params;
      await record.aliases.set({
        name,
        alias,
        toVersion: input.body.version,
        changedBy: actorOf(input),
        ...(input.body.from === undefined ? {} : { expectedVersion: input.body.from }),
      });
      wakeNotices(plane);
      wakeDeclarations(plane);
      return modelOf(name);
    },
    "models.dropAlias": async (input) => {
      await record.aliases.set({ ...input.params, toVersion: undefined, changedBy: actorOf(input) });
      wakeNotices(plane);
      wakeDeclarations(plane);
      return { done: true };
    },
    "verdicts.list": async ({ query }) => {
      const page = await record.verdicts.list({ runId: query.runId }, query);
      return {
        ...page,
        items: page.items.map((row) => ({
          ...row,
          candidate: row.candidateDigest,
          ...(row.championDigest === undefined ? {} : { champion: row.championDigest }),
          verdict: row.report,
        })),
      };
    },
  };
}

/** NOT_FOUND, with what shows those there are. */
export async function requireVersion(
  { record }: Pick<ControlPlane, "record">,
  name: string,
  reference: ReturnType<typeof versionReference>,
): Promise<ModelVersionRow> {
  const version = await record.models.version(name, reference);
  if (version !== undefined) return version;
  const isThere = (await record.models.get(name)) !== undefined;
  const hint = isThere
    ? `\`espalier model show ${name}\` lists versions and aliases.`
    : "`espalier model list` shows the models there are.";
  throw new EspalierError("NOT_FOUND", `There is no version ${reference} of the model ${name}`, { hint });
}

/** A number, `latest` or `@alias`, as the route has checked it. */
export function versionReference(text: string): number | "latest" | `@${string}` {
  if (text === "latest") return text;
  return text.startsWith("@") ? (text as `@${string}`) : Number(text);
}

function versionOf(row: ModelVersionRow): ModelVersion {
  return { ...row, gate: row.verdictId === undefined ? "none" : "passed", tags: { ...row.tags } };
}
