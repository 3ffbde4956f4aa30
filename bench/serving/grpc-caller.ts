import { connect } from "node:net";
import type { Caller } from "./load.ts";

/**
 * One HTTP/2 connection with one gRPC call in flight, over a plain socket for the same reason as the HTTP one: frames are cut, headers are
 * not decoded. A call that brings a message has succeeded, since gRPC answers an error by trailers alone.
 */
export const grpcCaller: Caller = ({ port, path, body }, answered) =>
  new Promise((resolve) => {
    const headers = requestHeaders(path, `127.0.0.1:${port}`);
    const data = Buffer.concat([prefix(body.length), body]);
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    let stream = 1;
    const send = (): void => {
      socket.write(Buffer.concat([frame(types.headers, 0x4, stream, headers), frame(types.data, 0x1, stream, data)]));
    };
    let pending: Buffer = Buffer.alloc(0);
    let received = 0;
    let hasMessage = false;
    socket.on("connect", () => {
      socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(types.settings, 0, 0)]));
      send();
    });
    socket.on("data", (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      while (pending.length >= 9 && pending.length >= 9 + pending.readUIntBE(0, 3)) {
        const length = pending.readUIntBE(0, 3);
        const [type, flags] = [pending[3], pending[4] ?? 0];
        const payload = pending.subarray(9, 9 + length);
        pending = pending.subarray(9 + length);
        if (type === types.settings && flags === 0) socket.write(frame(types.settings, 0x1, 0));
        if (type === types.ping && flags === 0) socket.write(frame(types.ping, 0x1, 0, payload));
        if (type === types.data) {
          hasMessage ||= length > 0;
          received += length;
          // What the other side may send on the whole connection is 64 KiB, until it is told of more.
          if (received > 16_384) {
            const increment = Buffer.alloc(4);
            increment.writeUInt32BE(received);
            socket.write(frame(types.windowUpdate, 0, 0, increment));
            received = 0;
          }
        }
        const isReset = type === types.reset || type === types.goAway;
        if (isReset || ((type === types.headers || type === types.data) && (flags & 0x1) !== 0)) {
          const more = answered(hasMessage && !isReset);
          hasMessage = false;
          stream += 2;
          if (!more || type === types.goAway) return void socket.end();
          send();
        }
      }
    });
    socket.on("error", () => answered(false));
    socket.on("close", () => resolve());
  });

/** RFC 9113, section 6. */
const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function prefix(length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

/** RFC 7541: static entries by their index, everything else literally, nothing remembered, so that every call sends the same bytes. */
function requestHeaders(path: string, authority: string): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat([
    Buffer.from([0x83, 0x86, 0x04]),
    text(path),
    Buffer.from([0x01]),
    text(authority),
    Buffer.from([0x0f, 0x10]),
    text("application/grpc"),
    Buffer.from([0x00]),
    text("te"),
    text("trailers"),
  ]);
}
