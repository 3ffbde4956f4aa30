import { type ReactNode, useEffect, useId, useRef } from "react";
import { Button, type Look } from "./button.tsx";
import { Problem } from "./states.tsx";

/** Asks before something is changed. The browser's own dialog keeps the focus inside and closes on Escape. */
export function Confirm({
  title,
  children,
  action,
  look = "primary",
  isBusy,
  error,
  onConfirm,
  onClose,
}: {
  title: string;
  children: ReactNode;
  /** The word on the button that does it. */
  action: string;
  look?: Look;
  isBusy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={name}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      className="m-auto w-[min(32rem,calc(100vw-2rem))] rounded-xl border border-line bg-card p-6 text-ink backdrop:bg-black/45"
    >
      <h2 id={name} className="text-xl">
        {title}
      </h2>
      <div className="mt-3 space-y-3 text-sm">{children}</div>
      {error !== undefined && error !== null && (
        <div className="mt-4">
          <Problem error={error} />
        </div>
      )}
      <div className="mt-6 flex justify-end gap-2">
        <Button onClick={onClose}>Leave it</Button>
        <Button look={look} disabled={isBusy} onClick={onConfirm}>
          {isBusy ? "One moment…" : action}
        </Button>
      </div>
    </dialog>
  );
}
