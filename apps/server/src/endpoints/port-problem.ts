import { once } from "node:events";
import { createServer } from "node:net";
import { EspalierError } from "@espalier/core";
import type { EndpointDifference } from "./endpoint-difference.ts";

/** A port that the endpoint is to have anew, and that another program holds. Asked before anything is put on record. */
export async function portProblem(
  { name, current, wanted }: EndpointDifference,
  at: string,
): Promise<EspalierError | undefined> {
  const port = wanted?.settings.port ?? 0;
  if (port === 0 || port === current?.spec.port || portOf(current?.status?.url) === port) return undefined;
  const probe = createServer();
  probe.listen({ host: "127.0.0.1", port, exclusive: true });
  try {
    await once(probe, "listening");
    return undefined;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code !== "EADDRINUSE" && code !== "EACCES") throw cause;
    const used = code === "EADDRINUSE";
    return new EspalierError(
      used ? "PORT_IN_USE" : "PERMISSION_DENIED",
      used ? `Port ${port} of the endpoint ${name} is in use` : `This user may not listen on port ${port}`,
      { at, cause, details: { port }, hint: "Declare another port, or none to let one be chosen." },
    );
  } finally {
    probe.close();
  }
}

const portOf = (url: string | undefined): number | undefined =>
  url === undefined || !URL.canParse(url) ? undefined : Number(new URL(url).port);
