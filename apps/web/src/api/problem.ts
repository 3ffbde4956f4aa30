/** What a page shows of an error: the server's own words, where, and what to do next. */
export interface ProblemText {
  code: string;
  message: string;
  at: string | undefined;
  hint: string | undefined;
}

export function problemOf(error: unknown): ProblemText {
  const read = (name: string): string | undefined => {
    const value = typeof error === "object" && error !== null ? Reflect.get(error, name) : undefined;
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  return {
    code: read("code") ?? "INTERNAL",
    message: read("message") ?? String(error),
    at: read("at"),
    hint: read("hint"),
  };
}
