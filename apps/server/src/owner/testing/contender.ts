import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { acquireOwnership } from "../ownership.ts";

/** A process that asks for ownership, says what it got as one JSON line, and as owner serves until it is ended. */
const [, , stateFolder = "", mode = "publish"] = process.argv;
const result = await acquireOwnership(stateFolder);
if (!result.owned) {
  const answer = await fetch(result.url);
  process.stdout.write(`${JSON.stringify({ owned: false, url: result.url, answered: await answer.text() })}\n`);
} else {
  const server = createServer((_, response) => response.end(String(process.pid)));
  server.listen(0, "127.0.0.1", async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    if (mode === "publish") await result.publish(url);
    process.stdout.write(`${JSON.stringify({ owned: true, url, pid: process.pid })}\n`);
  });
  process.once("SIGTERM", async () => {
    server.close();
    await result.release();
  });
}
