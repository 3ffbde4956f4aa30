import { EspalierError } from "@espalier/core";
import { z } from "zod";
import type { ControlPlane } from "../control-plane.ts";

const askMilliseconds = 10_000;
const healthAnswer = z.object({ instance: z.string() });

/**
 * CONFLICT: the MLflow server at `uri` is this control plane. An export into itself would double everything and move aliases, a mirror of
 * itself would never come to an end. Whoever does not answer is somebody else, or is told of by the next request.
 */
export async function refuseItself({ instance, closing }: ControlPlane, uri: string): Promise<void> {
  if (!URL.canParse(uri)) return;
  const url = new URL(uri);
  const address = `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  const signal = AbortSignal.any([closing, AbortSignal.timeout(askMilliseconds)]);
  const answer: unknown = await fetch(`${address}/health`, { redirect: "error", signal })
    .then((response) => response.json())
    .catch(() => undefined);
  const other = healthAnswer.safeParse(answer);
  if (!other.success || other.data.instance !== instance) return;
  throw new EspalierError("CONFLICT", `${address} is this control plane itself, and no MLflow server`, {
    hint: "Give the address of the MLflow server.",
  });
}
