/** The two versions that are held against each other. */
export function readDataAddress(search: Readonly<Record<string, unknown>>): { from?: number; to?: number } {
  const version = (name: string): number | undefined => {
    const value = Number(search[name]);
    return Number.isInteger(value) && value >= 1 ? value : undefined;
  };
  const [from, to] = [version("from"), version("to")];
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}
