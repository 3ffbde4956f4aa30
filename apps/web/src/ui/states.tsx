import type { ReactNode } from "react";
import { problemOf } from "../api/problem.ts";

/** A place that waits for data: still, and announced to screen readers once. */
export function Loading({ what }: { what: string }) {
  return (
    <div role="status" className="flex items-center gap-3 p-6 text-muted">
      <span aria-hidden="true" className="size-2 animate-pulse rounded-full bg-leaf" />
      Loading {what}…
    </div>
  );
}

/** Nothing here yet: says why, and teaches the command that changes it. */
export function Empty({ title, children, command }: { title: string; children?: ReactNode; command?: string }) {
  return (
    <div className="rounded-xl border border-dashed border-line px-6 py-12 text-center">
      <Sprig />
      <p className="mt-3 font-serif text-lg">{title}</p>
      {children !== undefined && <div className="mx-auto mt-1 max-w-prose text-muted">{children}</div>}
      {command !== undefined && (
        <p className="mt-4">
          <code className="rounded-md bg-sunken px-3 py-1.5 font-mono text-[13px] select-all">{command}</code>
        </p>
      )}
    </div>
  );
}

/** An error in the server's words: what, where, what to do next, and a way to try again. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const { code, message, at, hint } = problemOf(error);
  return (
    <div role="alert" className="rounded-xl border border-bad/40 bg-bad-soft px-5 py-4 text-ink">
      <p className="font-medium wrap-anywhere whitespace-pre-wrap">{message}</p>
      {at !== undefined && <p className="mt-1 font-mono text-[13px] wrap-anywhere">{at}</p>}
      {hint !== undefined && <p className="mt-2 wrap-anywhere">{hint}</p>}
      <p className="mt-2 flex items-center gap-4 text-[13px]">
        <span className="font-mono text-bad">{code}</span>
        {retry !== undefined && (
          <button type="button" className="font-medium text-leaf underline underline-offset-2" onClick={retry}>
            Try again
          </button>
        )}
      </p>
    </div>
  );
}

function Sprig() {
  return (
    <svg aria-hidden="true" viewBox="0 0 48 40" className="mx-auto h-10 fill-none stroke-leaf/60" strokeWidth="1.5">
      <path d="M24 39V14" strokeLinecap="round" />
      <path d="M24 26c-9 1-13-3-14-10 8-1 13 3 14 10ZM24 20c0-8 4-12 12-13 1 8-4 13-12 13Z" />
    </svg>
  );
}
