import { shortDigest } from "./words.ts";

/** The beginning of a digest; the whole of it on hover, and selected by one click for copying. */
export function Digest({ digest }: { digest: string }) {
  return (
    <code title={digest} className="rounded bg-sunken px-1.5 py-0.5 font-mono text-[12.5px]">
      {shortDigest(digest)}
    </code>
  );
}
