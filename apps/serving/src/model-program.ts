import { announce } from "./announce.ts";
import type { ServingArguments } from "./arguments.ts";
import { listen } from "./http/listen.ts";
import { createModelServer } from "./model-server.ts";
import { openTracing } from "./tracing/tracing.ts";

type ModelProgram = Extract<ServingArguments, { kind: "model" }>;

/** A model server as a process: HTTP, and gRPC where a port for it is given. Errors: those of listening and loading. */
export async function startModelServer(
  given: ModelProgram,
  log: (message: string) => void,
): Promise<{ drain(): void; close(): Promise<void> }> {
  const { pid } = process;
  const tracing = await openTracing("espalier-serving", process.env);
  const model = createModelServer({ ...given, tracing });
  const grpc =
    given.grpcPort === undefined ? undefined : (await import("./grpc/grpc-server.ts")).createGrpcServer(model.serving);
  // Listening comes first: who asks while the model loads is told 503 and not refused.
  const port = await listen(model.server, given.host, given.port);
  const grpcPort = grpc === undefined ? undefined : await listen(grpc.server, given.host, given.grpcPort ?? 0);
  const place = `${given.host}:${port}${grpcPort === undefined ? "" : `, gRPC on ${grpcPort}`}`;
  const what = given.modelDirectory === undefined ? "models" : `model ${given.name} version ${given.version}`;
  log(`${what}: loading, on ${place}`);
  await model.load();
  announce(given.announce, { pid, port, ...(grpcPort === undefined ? {} : { grpcPort }) });
  log(`${what}: ready`);
  return {
    drain: model.drain,
    async close() {
      await grpc?.close();
      await model.close();
      await tracing?.close();
    },
  };
}
