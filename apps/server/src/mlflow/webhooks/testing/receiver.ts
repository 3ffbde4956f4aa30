import { createServer as createHttpServer, type IncomingHttpHeaders } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach } from "vitest";
import { selfSigned } from "./self-signed.ts";

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Receiver {
  url: string;
  port: number;
  received: Received[];
  /** The next answers' statuses, in order; 200 when there are none left. */
  answers: number[];
  close(): Promise<void>;
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Somebody's server that webhooks are sent to. With https its self-made certificate is trusted by this process from now on. */
export async function startReceiver(options: { secure?: boolean; port?: number } = {}): Promise<Receiver> {
  const received: Received[] = [];
  const answers: number[] = [];
  const listener: Parameters<typeof createHttpServer>[1] = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      received.push({
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks).toString("utf8"),
      });
      const status = answers.shift() ?? 200;
      response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {}).end(`answer ${status}`);
    });
  };
  const secure = options.secure === true ? selfSigned() : undefined;
  if (secure !== undefined) setDefaultCACertificates([...getCACertificates("default"), secure.certificate]);
  const server =
    secure === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ key: secure.key, cert: secure.certificate }, listener);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }));
  closers.push(close);
  const scheme = secure === undefined ? "http" : "https";
  return { url: `${scheme}://localhost:${port}/hook?token=t`, port, received, answers, close };
}
