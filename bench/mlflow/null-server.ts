import type { AddressInfo } from "node:net";
import { createServer } from "node:net";

/**
 * Answers every request at once with the least that an MLflow client is content with. What a client reaches against it is the client's
 * own limit. Over plain sockets, so that it costs next to nothing; prints its port.
 */
const answers: readonly (readonly [RegExp, string])[] = [
  [/runs\/create/, '{"run":{"info":{"run_uuid":"0","run_id":"0","experiment_id":"0","status":"RUNNING"},"data":{}}}'],
  [/experiments\/create/, '{"experiment_id":"1"}'],
  [/server-info/, '{"store_type":"sql","workspaces_enabled":false}'],
];

const server = createServer((socket) => {
  socket.setNoDelay(true);
  let pending = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      const end = pending.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = pending.toString("latin1", 0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (pending.length < end + 4 + length) return;
      pending = pending.subarray(end + 4 + length);
      const body = answers.find(([path]) => path.test(head.slice(0, head.indexOf("\r\n"))))?.[1] ?? "{}";
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: keep-alive\r\n\r\n${body}`,
      );
    }
  });
  // A client that goes away is no fault of a null server.
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
