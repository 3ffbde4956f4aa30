import type { ControlPlane } from "../../control-plane.ts";
import type { ProjectRecord } from "../../db/record.ts";
import type { Fields } from "../fields.ts";
import { mlflowReply } from "../mlflow-error.ts";
import type { MlflowRoute } from "../mlflow-route.ts";
import type { ExperimentScope } from "../scope.ts";
import type { RawAnswer } from "./raw-face.ts";

/** Routes over a record, without HTTP: for tests of what a scope covers. */
export function directFace(
  record: ProjectRecord,
  routesOf: (plane: ControlPlane) => MlflowRoute[],
): (path: string, fields: Fields, scope?: ExperimentScope) => Promise<RawAnswer> {
  const routes = routesOf({ record } as ControlPlane);
  return async (path, fields, scope = { kind: "project" }) => {
    const route = routes.find((one) => one.path === `/mlflow/${path}`);
    if (route === undefined) throw new Error(`There is no route ${path}`);
    const principal = { actor: "test", grant: { kind: "loopback" } } as const;
    try {
      const answer = await route.handle({ fields, principal, scope, signal: new AbortController().signal });
      return { status: 200, body: typeof answer === "string" ? JSON.parse(answer) : answer };
    } catch (error) {
      return mlflowReply(error);
    }
  };
}
