import { connect } from "node:net";
import type { Caller } from "./load.ts";

/** One connection with one request in flight. Only the status and the content length are parsed, since a client library would cost more than the servers. */
export const httpCaller: Caller = ({ port, path, body, headers }, answered) =>
  new Promise((resolve, reject) => {
    const lines = [
      `POST ${path} HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      ...Object.entries({ "content-type": "application/json", ...headers }).map(([name, value]) => `${name}: ${value}`),
      `content-length: ${body.length}`,
    ];
    const message = Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), body]);
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    let pending: Buffer = Buffer.alloc(0);
    socket.on("connect", () => socket.write(message));
    socket.on("data", (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = pending.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = pending.toString("latin1", 0, end).toLowerCase();
      const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
      if (length === undefined) {
        socket.destroy();
        reject(new Error(`An answer without a content length, which this generator can not read: ${head}`));
        return;
      }
      if (pending.length < end + 4 + Number(length)) return;
      pending = pending.subarray(end + 4 + Number(length));
      if (answered(head.startsWith("http/1.1 200"))) socket.write(message);
      else socket.end();
    });
    socket.on("error", () => answered(false));
    socket.on("close", () => resolve());
  });
