/** Where to after signing in: an address of this UI only, so that no link leads a signed-in reader elsewhere. */
export function readSignInAddress(search: Readonly<Record<string, unknown>>): { to: string } {
  const { to } = search;
  const isOwn = typeof to === "string" && /^\/(?![/\\])/.test(to) && !to.startsWith("/sign-in");
  return { to: isOwn ? to : "/runs" };
}
