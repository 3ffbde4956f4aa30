import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { freePort } from "../../scripts/servers/free-port.ts";
import type { Contender } from "./contender.ts";
import { v2Json } from "./model.ts";
import { startProgram } from "./server-process.ts";

/** What node:http alone can do on this machine: it reads and parses each request, and answers the same bytes. No model runs. */
export const bare: Contender = {
  key: "bare",
  title: "node:http alone, no model",
  setUp: "parses the request, answers a constant",
  async start(model, scratch) {
    const port = await freePort();
    return startProgram({
      command: process.execPath,
      words: [fileURLToPath(import.meta.url), String(port)],
      folder: scratch,
      port,
      first: v2Json(model),
    });
  },
  loads: [{ protocol: "V2 JSON", request: v2Json }],
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const output = { name: "probability", datatype: "FP32", shape: [1, 1], data: [0.48221734166145325] };
  const answer = JSON.stringify({ model_name: "tree", model_version: "1", id: "01KC0FFEE0", outputs: [output] });
  createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      JSON.parse(Buffer.concat(chunks).toString());
      response.writeHead(200, { "content-type": "application/json", "content-length": answer.length }).end(answer);
    });
  }).listen(Number(process.argv[2]), "127.0.0.1");
}
