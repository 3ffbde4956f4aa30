import { once } from "node:events";
import type { FastifyReply } from "fastify";
import type { ServerEvent } from "./handler.ts";

/** Proxies and idle sockets drop a silent stream after 30 to 60 seconds. */
const heartbeatMilliseconds = 15_000;

/**
 * Sends events until they end, then an `end` event, so that the client can tell an end from a broken connection. An error after the first
 * byte becomes an `error` event with the usual body.
 */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<ServerEvent<unknown>>,
  signal: AbortSignal,
  describeError: (error: unknown) => string,
): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  // The first event is awaited before the head is sent, only to give a missing run its 404; a silent run must not wait for it.
  let first: IteratorResult<ServerEvent<unknown>> | undefined;
  let pending: Promise<IteratorResult<ServerEvent<unknown>>> | undefined = iterator.next();
  const settled = await Promise.race([
    pending.then((result) => ({ result })),
    new Promise<undefined>((resolve) => setTimeout(resolve, 50, undefined).unref()),
  ]);
  if (settled) {
    first = settled.result;
    pending = undefined;
  }

  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
  });
  response.write(": open\n\n");
  const heartbeat = setInterval(() => response.write(": beat\n\n"), heartbeatMilliseconds);
  try {
    for (;;) {
      const result = first ?? (await (pending ?? iterator.next()));
      first = undefined;
      pending = undefined;
      if (result.done === true || signal.aborted) break;
      const { id, data } = result.value;
      const text = `${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
      // The signal, since a response that is closed already emits nothing any more.
      if (!response.write(text)) await once(response, "drain", { signal });
    }
    if (!signal.aborted) response.write("event: end\ndata: {}\n\n");
  } catch (error) {
    if (!signal.aborted) response.write(`event: error\ndata: ${describeError(error)}\n\n`);
  } finally {
    clearInterval(heartbeat);
    await iterator.return?.();
    response.end();
  }
}
