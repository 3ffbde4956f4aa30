import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { ModelSignature } from "@espalier/core";
import type { CapturedExchange, CaptureSink, Payload } from "./captured-exchange.ts";
import { createLineFiles, type LineFilesOptions } from "./line-files.ts";
import { createPlainPayloads } from "./plain-payload.ts";
import type { RedactionOptions } from "./redaction.ts";

export interface SagemakerSinkOptions extends Pick<LineFilesOptions, "directory" | "openFile"> {
  /** Folders under the directory, as SageMaker names them. */
  endpoint: string;
  variant: string;
  signature: ModelSignature;
  redaction: RedactionOptions;
  maxFileSeconds: number;
  maxBufferBytes: number;
}

const maxFileBytes = 64 * 1024 * 1024;

/**
 * Captured requests as SageMaker's data capture writes them: JSON lines under `<endpoint>/<variant>/yyyy/mm/dd/hh/`, which Model Monitor
 * reads. Source: awsdocs/amazon-sagemaker-developer-guide, model-monitor-data-capture.
 */
export function createSagemakerSink(options: SagemakerSinkOptions): CaptureSink {
  const payloads = createPlainPayloads(options.signature, options.redaction);
  const files = createLineFiles({
    directory: options.directory,
    ...(options.openFile === undefined ? {} : { openFile: options.openFile }),
    maxFileBytes,
    maxFileSeconds: options.maxFileSeconds,
    maxBufferBytes: options.maxBufferBytes,
    nextFile() {
      const [day = "", time = ""] = new Date().toISOString().split("T");
      const [hour = "", minute = "", seconds = ""] = time.replace("Z", "").split(":");
      const folder = join(options.directory, options.endpoint, options.variant, ...day.split("-"), hour);
      const closedPath = join(folder, `${minute}-${seconds.replace(".", "-")}-${randomUUID()}.jsonl`);
      return { openPath: `${closedPath}.open`, closedPath };
    },
  });

  return {
    add(exchange) {
      const line = {
        captureData: {
          endpointInput: { ...encoded(payloads.request(exchange)), mode: "INPUT" },
          endpointOutput: { ...encoded(payloads.response(exchange)), mode: "OUTPUT" },
        },
        eventMetadata: eventMetadata(exchange),
        eventVersion: "0",
      };
      files.add(JSON.stringify(line), exchange.table.rows);
    },
    flush: files.flush,
    close: files.close,
    counts: files.counts,
  };
}

function eventMetadata({ id, servedAt }: CapturedExchange) {
  return {
    eventId: randomUUID(),
    inferenceId: id,
    inferenceTime: new Date(servedAt).toISOString().replace(/\.\d+Z$/, "Z"),
  };
}

/** JSON and CSV as text, everything else in Base64, as SageMaker does for content types it is not told of. */
function encoded({ contentType, body }: Payload): { observedContentType: string; data: string; encoding: string } {
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase();
  const encoding = type === "text/csv" ? "CSV" : type === "application/json" ? "JSON" : "BASE64";
  const bytes = Buffer.from(typeof body === "string" ? Buffer.from(body) : body);
  return {
    observedContentType: contentType,
    data: encoding === "BASE64" ? bytes.toString("base64") : bytes.toString("utf8"),
    encoding,
  };
}
