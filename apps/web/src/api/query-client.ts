import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { problemOf } from "./problem.ts";

function isRetryable(error: unknown): boolean {
  return !(typeof error === "object" && error !== null && "retryable" in error) || error.retryable === true;
}

/** A session that has ended is begun again, and then leads back to the page. */
function onError(error: unknown): void {
  if (problemOf(error).code !== "UNAUTHENTICATED" || location.pathname === "/sign-in") return;
  const to = location.pathname + location.search;
  location.assign(`/sign-in?${new URLSearchParams({ to })}`);
}

/** Only errors that the error table calls retryable are tried again; a 404 shows at once. */
export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => failures < 3 && isRetryable(error),
      retryDelay: (failures) => Math.min(4_000, 300 * 2 ** failures),
    },
  },
});
