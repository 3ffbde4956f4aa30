import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { CallOutput, Client, PackagedImage, Packaging } from "@espalier/contract";
import { EspalierError, isEspalierError } from "@espalier/core";
import type { Command } from "commander";
import { createLogUpdate } from "log-update";
import colors from "picocolors";
import { type CommonOptions, collectList, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatSeconds, printJson, printLine, printTable } from "../terminal/output.ts";

interface PackageOptions extends CommonOptions {
  push?: string;
  output?: string;
  tag?: string;
  base?: string;
  platform?: string[];
  python?: string;
  plainHttp?: boolean;
  sign?: string;
}

export function command(): Command {
  return projectCommand(
    "package",
    "Make an image of the model server with a registered version, without a container engine.",
  )
    .argument("<model@version>", "for example flights-delay@3 or flights-delay@champion")
    .option("--push <image>", "host[:port]/repository[:tag] to push to (default: the stack's `packages`)")
    .option("--output <folder>", "instead: a folder that becomes an OCI image layout, or gets one more image")
    .option("--tag <tag>", "instead of the version's number")
    .option("--base <image>", "an image's name, or a folder with an OCI layout (default: this machine's C libraries)")
    .option("--platform <platforms>", "linux/amd64, linux/arm64 or both (default: this machine's)", collectList)
    .option("--python <path>", "the base's Python, for a model that runs in one")
    .option(
      "--sign <file>",
      "sign with this private key (PEM, P-256); ESPALIER_SIGNING_PASSPHRASE opens an encrypted one",
    )
    .option("--plain-http", "speak to registries without TLS, also beyond this machine")
    .action(packageModel);
}

async function packageModel(place: string, options: PackageOptions): Promise<void> {
  const match = /^([^@]+)@(.+)$/.exec(place);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new EspalierError("INVALID_INPUT", `"${place}" is not model@version`, {
      hint: "For example: flights-delay@3.",
    });
  }
  const version = /^\d+$/.test(match[2]) || match[2] === "latest" ? match[2] : `@${match[2]}`;
  const credentials = registryCredentials();
  const body = {
    model: match[1],
    version,
    ...(options.push === undefined ? {} : { push: options.push }),
    // The control plane may stand in another folder.
    ...(options.output === undefined ? {} : { layout: resolve(options.output) }),
    ...(options.tag === undefined ? {} : { tag: options.tag }),
    ...(options.base === undefined ? {} : { base: baseFrom(options.base) }),
    ...(options.platform === undefined ? {} : { platforms: options.platform }),
    ...(options.python === undefined ? {} : { python: options.python }),
    ...(options.plainHttp === undefined ? {} : { plainHttp: options.plainHttp }),
    ...(options.sign === undefined ? {} : { sign: await signingKey(options.sign) }),
    ...(credentials === undefined ? {} : { credentials }),
  };
  await withSession(options, async ({ client }) => {
    const start = (): Promise<Packaging> => client.call("packagings.start", { body });
    const ended = await followPackaging(client, await start(), options.json ?? false).catch((error: unknown) => {
      // The control plane that made it is gone; what it has sent is not sent again.
      if (isEspalierError(error) && error.code === "NOT_FOUND") return undefined;
      throw error;
    });
    const packaging = ended ?? (await followPackaging(client, await start(), options.json ?? false));
    if (packaging.result === undefined) throw failureOf(packaging);
    if (options.json) printJson(packaging.result);
    else printImage(packaging.result, (packaging.finishedAt ?? packaging.startedAt) - packaging.startedAt);
  });
}

/** Only where nobody else on the machine can read them: never an option. Left out: what `podman login` or `docker login` wrote. */
function registryCredentials(
  environment: NodeJS.ProcessEnv = process.env,
): { username: string; password: string } | undefined {
  const username = environment["ESPALIER_REGISTRY_USERNAME"];
  const password = environment["ESPALIER_REGISTRY_PASSWORD"];
  return username === undefined || username === "" || password === undefined ? undefined : { username, password };
}

/** A path is this command's, not the control plane's. */
function baseFrom(base: string): string {
  if (base.startsWith("oci:")) return `oci:${resolve(base.slice(4))}`;
  return /^\.{0,2}\//.test(base) ? resolve(base) : base;
}

async function signingKey(file: string): Promise<{ key: string; passphrase?: string }> {
  const key = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new EspalierError("NOT_FOUND", `The signing key ${file} can not be read`, {
      at: "--sign",
      cause,
      hint: "openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
    });
  });
  const passphrase = process.env["ESPALIER_SIGNING_PASSPHRASE"];
  return { key, ...(passphrase === undefined ? {} : { passphrase }) };
}

async function followPackaging(client: Client, started: Packaging, asJson: boolean): Promise<Packaging> {
  const screen = asJson || !process.stdout.isTTY ? undefined : createLogUpdate(process.stdout);
  let phase = "";
  try {
    for await (const { data } of client.events("packagings.events", { params: { packagingId: started.id } })) {
      if (data.state !== "running") break;
      if (screen !== undefined) screen(progressLine(data));
      else if (!asJson && data.phase !== phase) printLine(progressLine(data));
      phase = data.phase;
    }
  } finally {
    screen?.clear();
    screen?.done();
  }
  return client.call("packagings.get", { params: { packagingId: started.id } });
}

function progressLine({ phase, sentBytes = 0, heldBytes = 0, totalBytes }: CallOutput<"packagings.get">): string {
  if (totalBytes === undefined || !phase.startsWith("pushing")) return phase;
  const held = heldBytes === 0 ? "" : `, ${formatBytes(heldBytes)} there already`;
  return `${phase}: ${formatBytes(sentBytes)} of ${formatBytes(totalBytes)}${held}`;
}

function failureOf({ error }: Packaging): EspalierError {
  const known = isEspalierError(Object.assign(new Error(), error))
    ? (error?.code as EspalierError["code"])
    : "INTERNAL";
  return new EspalierError(known, error?.message ?? "The image was not made", {
    ...(error?.at === undefined ? {} : { at: error.at }),
    ...(error?.hint === undefined ? {} : { hint: error.hint }),
  });
}

function printImage(image: PackagedImage, milliseconds: number): void {
  printTable(
    ["layer", "size", "digest"],
    image.layers.map(({ what, bytes, digest }) => [what, formatBytes(bytes), digest.slice(0, 19)]),
  );
  const documents = image.attached.map(({ type }) => type.replace(/^application\/(vnd\.)?|\+json$/g, "")).join(", ");
  printLine(`attached: ${documents}${image.signed ? ", signature" : ""}`);
  const sent = `${formatBytes(image.sentBytes)} sent, ${formatBytes(image.heldBytes)} there already`;
  printLine(`${colors.green("done")} in ${formatSeconds(milliseconds)}: ${sent}`);
  printLine(image.image);
}
