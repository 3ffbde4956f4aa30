import type { AddressInfo, Server } from "node:net";
import { EspalierError } from "@espalier/core";

/** Resolves with the port. Errors: PORT_IN_USE, INVALID_INPUT (an address this machine does not have), PERMISSION_DENIED. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(listenError(cause, host, port)));
    // Loopback load generators open hundreds of connections at once; the default backlog refuses some.
    server.listen({ host, port, backlog: 1024 }, () => resolve((server.address() as AddressInfo).port));
  });
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): EspalierError {
  if (cause.code === "EADDRINUSE") {
    return new EspalierError("PORT_IN_USE", `Port ${port} on ${host} is in use`, {
      cause,
      details: { host, port },
      hint: "Choose another port, or 0 to let the system choose one.",
    });
  }
  const code = cause.code === "EACCES" ? "PERMISSION_DENIED" : "INVALID_INPUT";
  return new EspalierError(code, `Can not listen on ${host}:${port}: ${cause.message}`, { cause });
}
