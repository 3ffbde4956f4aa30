import { EspalierError, type ToolHost } from "@espalier/core";
import type { MlflowCredentials } from "./mlflow-client.ts";
import type { MlflowRegistryConfig } from "./mlflow-config.ts";

type Settings = Pick<MlflowRegistryConfig, "token_secret" | "username" | "password_secret">;

/** From the stack's secrets at each request, so that a renewed one is used at once. UNAUTHENTICATED: there is no such secret. */
export function mlflowCredentials(
  { token_secret: token, username, password_secret: password }: Settings,
  component: string,
  { secret }: Pick<ToolHost, "secret">,
): () => Promise<MlflowCredentials | undefined> {
  const reveal = async (name: string): Promise<string> => {
    const found = await secret?.(name);
    if (found !== undefined) return found.reveal();
    throw new EspalierError("UNAUTHENTICATED", `There is no secret ${name}`, {
      at: `${component}.with`,
      hint: `espalier secret set ${name}`,
    });
  };
  return async () => {
    if (token !== undefined) return { token: await reveal(token) };
    if (username === undefined || password === undefined) return undefined;
    return { username, password: await reveal(password) };
  };
}
