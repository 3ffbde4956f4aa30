import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing/running-server.ts";
import { inferRequest, inferResponse } from "./messages.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** As a deployment replaces a server: told to stop under load, it answers every call that it took, and says to each later one that it is gone. */
test("a program that is told to stop answers the calls it took, and exits 0", async () => {
  const folder = await temporaryFolder();
  const model = await writeModelFolder(
    join(folder.path, "model"),
    logisticModel([1, 2], 0),
    matrixSignature(["a", "b"]),
  );
  const file = join(folder.path, "announce.json");
  const words = ["model", "--model-dir", model, "--name", "tiny", "--grpc-port", "0", "--announce", file];
  const program = spawn(process.execPath, [main, ...words], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    await expect.poll(() => readFile(file, "utf8").catch(() => ""), { timeout: 60_000 }).toContain("grpcPort");
    const { grpcPort } = JSON.parse(await readFile(file, "utf8")) as { grpcPort: number };
    const client = new Client(`127.0.0.1:${grpcPort}`, credentials.createInsecure());
    const input = { name: "input", datatype: "FP32", shape: [1, 2], contents: { fp32_contents: [0.5, 0.25] } };
    const ask = () =>
      new Promise<ServiceError | number | undefined>((resolve) => {
        client.makeUnaryRequest(
          "/inference.GRPCInferenceService/ModelInfer",
          (value: Parameters<typeof inferRequest.encode>[0]) => inferRequest.encode(value),
          (bytes: Buffer) => inferResponse.decode(bytes),
          { model_name: "tiny", inputs: [input] },
          (error, response) => resolve(error ?? response?.outputs[0]?.contents?.fp32_contents?.[0]),
        );
      });

    let answered = 0;
    const failures: ServiceError[] = [];
    const callers = Array.from({ length: 8 }, async () => {
      while (failures.length === 0) {
        const answer = await ask();
        if (typeof answer === "object") failures.push(answer);
        else answered++;
        if (answered === 200) program.kill("SIGTERM");
      }
    });
    const [code] = await once(program, "exit");
    await Promise.all(callers);
    expect(code).toBe(0);
    expect(answered).toBeGreaterThanOrEqual(200);
    for (const failure of failures) {
      expect(failure.code).toBe(status.UNAVAILABLE);
      // Refused, before or because nobody listens any more; a call that had been taken would say otherwise.
      expect(failure.details).toMatch(/refused|No connection established/i);
    }
    client.close();
  } finally {
    if (program.exitCode === null) program.kill("SIGKILL");
    await folder.remove();
  }
});
