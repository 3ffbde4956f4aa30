import { apiPrefix, errorFromResponse } from "@espalier/contract";

const path = `${apiPrefix}/session`;

/** The server answers with a cookie that no script reads. */
export async function signIn(given: { code: string } | { token: string }): Promise<void> {
  await send("POST", given);
}

export async function signOut(): Promise<void> {
  await send("DELETE");
}

async function send(method: string, body?: object): Promise<void> {
  const response = await fetch(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  if (!response.ok) throw errorFromResponse(response.status, await response.text());
}
