import { QueryClient } from "@tanstack/react-query";

function isRetryable(error: unknown): boolean {
  return !(typeof error === "object" && error !== null && "retryable" in error) || error.retryable === true;
}

/** Only errors that the error table calls retryable are tried again; a 404 shows at once. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => failures < 3 && isRetryable(error),
      retryDelay: (failures) => Math.min(4_000, 300 * 2 ** failures),
    },
  },
});
