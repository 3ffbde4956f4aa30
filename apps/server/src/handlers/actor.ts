import type { RequestContext } from "../http/handler.ts";

/** As the record names who did something. */
export function actorOf({ principal }: Pick<RequestContext, "principal">): string {
  return principal?.actor ?? "nobody";
}
