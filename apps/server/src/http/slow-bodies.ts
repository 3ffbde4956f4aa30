import type { IncomingMessage } from "node:http";
import type { FastifyInstance } from "fastify";

export interface BodyTimes {
  /** For all of a document's bytes. */
  documentMilliseconds: number;
  /** An upload takes as long as it takes, but not this long without a byte. */
  silenceMilliseconds: number;
  sweepMilliseconds: number;
}

const usualBodyTimes: BodyTimes = {
  documentMilliseconds: 60_000,
  silenceMilliseconds: 300_000,
  sweepMilliseconds: 5_000,
};

interface Arriving {
  since: number;
  bytes: number;
  isUpload: boolean;
}

/**
 * Ends connections whose client sends its body drop by drop, or stops in the middle of it. Node's own limit counts the whole request, and
 * would cut an upload of hours.
 */
export function endSlowBodies(app: FastifyInstance, times: BodyTimes = usualBodyTimes): void {
  const arriving = new Map<IncomingMessage, Arriving>();
  app.addHook("onRequest", (request, _reply, done) => {
    const { headers, socket } = request.raw;
    if (
      headers["content-length"] !== "0" &&
      (headers["content-length"] ?? headers["transfer-encoding"]) !== undefined
    ) {
      const isUpload = !(headers["content-type"] ?? "").startsWith("application/json");
      arriving.set(request.raw, { since: performance.now(), bytes: socket.bytesRead, isUpload });
    }
    done();
  });
  app.addHook("onResponse", (request, _reply, done) => {
    arriving.delete(request.raw);
    done();
  });
  const sweep = setInterval(() => {
    const now = performance.now();
    for (const [message, state] of arriving) {
      if (message.complete || message.destroyed) arriving.delete(message);
      else if (state.isUpload && message.socket.bytesRead > state.bytes) {
        Object.assign(state, { since: now, bytes: message.socket.bytesRead });
      } else if (now - state.since > (state.isUpload ? times.silenceMilliseconds : times.documentMilliseconds)) {
        message.destroy();
      }
    }
  }, times.sweepMilliseconds);
  sweep.unref();
  app.addHook("onClose", async () => clearInterval(sweep));
}
