/** Which stack is looked at, and which it is held against. */
export function readStackAddress(search: Readonly<Record<string, unknown>>): { stack?: string; to?: string } {
  const text = (name: string): string | undefined => {
    const value = search[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const [stack, to] = [text("stack"), text("to")];
  return { ...(stack === undefined ? {} : { stack }), ...(to === undefined ? {} : { to }) };
}
