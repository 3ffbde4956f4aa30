import type { Artifacts, BuiltinDeclaration, Engine, LocalFiles } from "@espalier/core";
import type { HostStaging, OpenStack, Project, PythonEnvironments, RemoteAttempts } from "@espalier/host";
import type { Logger } from "pino";
import type { ProjectRecord } from "./db/record.ts";
import type { UrlSigner } from "./http/url-signer.ts";

/** What handlers, record steps and background loops share. */
export interface ControlPlane {
  project: Project;
  version: string;
  /** This one among others, as `GET /health` tells it: random, new with each start. */
  instance: string;
  record: ProjectRecord;
  /** The stack of endpoints, secrets, monitors and artifacts; a run may name another for its computes. */
  stack: OpenStack;
  artifacts: Artifacts;
  files: LocalFiles;
  environments: PythonEnvironments;
  engine: Engine;
  staging: HostStaging;
  remoteAttempts: RemoteAttempts;
  builtins: Readonly<Record<string, BuiltinDeclaration>>;
  signer: UrlSigner;
  logger: Logger;
  /** Where clients on this machine reach this control plane. */
  url(): string;
  /** Where steps elsewhere reach it. */
  publicUrl(): string;
  /** Aborted when the control plane closes. */
  closing: AbortSignal;
}
