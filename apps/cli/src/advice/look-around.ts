import { readFile } from "node:fs/promises";
import { EspalierError, toEspalierError } from "@espalier/core";
import { parse } from "yaml";

/** Something that runs already, found where the user pointed; it becomes an entry of `running`. */
export interface Found {
  source: string;
  /** What was seen, in a sentence. */
  told: string;
  running: { milestone: number; tool: string; provider?: "aws" | "google" | "azure" }[];
}

/** Reads a kubeconfig or a Terraform state, or asks MLflow or Airflow at an address. Nothing of it leaves this machine. */
export async function lookAt(source: string): Promise<Found> {
  if (/^https?:\/\//.test(source)) return lookAtServer(source.replace(/\/+$/, ""));
  let text: string;
  try {
    text = await readFile(source, "utf8");
  } catch (error) {
    throw new EspalierError("NOT_FOUND", `${source} can not be read: ${(error as Error).message}`, {
      at: `--look ${source}`,
      hint: "Give a kubeconfig, a Terraform state (terraform.tfstate), or the address of MLflow or Airflow.",
      cause: error,
    });
  }
  const document = parsed(text, source);
  if (typeof document === "object" && document !== null) {
    if ("contexts" in document && Array.isArray(document.contexts)) return kubeconfig(source, document.contexts);
    if ("terraform_version" in document && "resources" in document && Array.isArray(document.resources)) {
      return terraformState(source, document.resources);
    }
  }
  throw unknown(source, "it is neither a kubeconfig nor a Terraform state");
}

function parsed(text: string, source: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw unknown(
      source,
      `it is not YAML or JSON: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : ""}`,
    );
  }
}

function unknown(source: string, why: string): EspalierError {
  return new EspalierError("INVALID_INPUT", `${source} tells nothing: ${why}`, {
    at: `--look ${source}`,
    hint: "Give a kubeconfig, a Terraform state (terraform.tfstate), or the address of MLflow or Airflow.",
  });
}

function kubeconfig(source: string, contexts: readonly unknown[]): Found {
  const names = contexts.map((context) => String((context as { name?: unknown } | null)?.name ?? "without a name"));
  return {
    source,
    told: `a kubeconfig with ${names.length} contexts: ${names.slice(0, 5).join(", ")}`,
    running: names.length === 0 ? [] : [{ milestone: 5, tool: "kubernetes" }],
  };
}

const clouds = { aws_: "aws", google_: "google", azurerm_: "azure" } as const;
const services: Readonly<Record<string, { milestone: number; tool: string }>> = {
  aws_s3_bucket: { milestone: 1, tool: "s3" },
  aws_sagemaker_endpoint: { milestone: 11, tool: "sagemaker" },
  aws_sagemaker_domain: { milestone: 5, tool: "sagemaker" },
  aws_ecr_repository: { milestone: 9, tool: "ecr" },
  aws_secretsmanager_secret: { milestone: 0, tool: "secrets-manager" },
  google_storage_bucket: { milestone: 1, tool: "cloud-storage" },
  google_vertex_ai_endpoint: { milestone: 11, tool: "vertex-ai" },
  azurerm_machine_learning_workspace: { milestone: 5, tool: "azure-ml" },
};

function terraformState(source: string, resources: readonly unknown[]): Found {
  const types = resources.map((resource) => String((resource as { type?: unknown } | null)?.type ?? ""));
  const running = Object.entries(services)
    .filter(([type]) => types.includes(type))
    .map(([type, service]) => {
      const provider = Object.entries(clouds).find(([prefix]) => type.startsWith(prefix))?.[1];
      return { ...service, ...(provider === undefined ? {} : { provider }) };
    });
  const counts = Object.entries(clouds).map(
    ([prefix, cloud]) => [cloud, types.filter((type) => type.startsWith(prefix)).length] as const,
  );
  const told = counts.filter(([, count]) => count > 0).map(([cloud, count]) => `${count} of ${cloud}`);
  return {
    source,
    told: `a Terraform state with ${types.length} resources${told.length === 0 ? "" : `, ${told.join(", ")}`}`,
    running,
  };
}

const patienceMilliseconds = 5_000;

async function lookAtServer(address: string): Promise<Found> {
  const mlflow = await ask(`${address}/version`);
  if (mlflow !== undefined && /^\d+\.\d+/.test(mlflow.trim())) {
    return {
      source: address,
      told: `MLflow ${mlflow.trim()}`,
      running: [
        { milestone: 6, tool: "mlflow" },
        { milestone: 8, tool: "mlflow" },
      ],
    };
  }
  for (const path of ["/api/v2/version", "/api/v1/version"]) {
    const airflow = await ask(`${address}${path}`);
    const version = airflow === undefined ? undefined : versionIn(airflow);
    if (version !== undefined)
      return { source: address, told: `Airflow ${version}`, running: [{ milestone: 4, tool: "airflow" }] };
  }
  throw unknown(address, "neither MLflow nor Airflow answers there");
}

function versionIn(body: string): string | undefined {
  try {
    const { version } = JSON.parse(body) as { version?: unknown };
    return typeof version === "string" ? version : undefined;
  } catch {
    // A page of another server, so no answer to the question.
    return undefined;
  }
}

/** The body of a 200; undefined for any other answer. Errors: UNREACHABLE when nobody answers. */
async function ask(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(patienceMilliseconds) });
    return response.ok ? await response.text() : undefined;
  } catch (error) {
    throw new EspalierError("UNREACHABLE", `${url} does not answer: ${toEspalierError(error).message}`, {
      at: `--look ${url}`,
      hint: "Is the address right, and may this machine reach it?",
      cause: error,
    });
  }
}
