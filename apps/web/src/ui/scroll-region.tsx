import type { ReactNode } from "react";

/** Scrolls sideways by itself on narrow screens, by keyboard too. */
export function ScrollRegion({
  label,
  className,
  children,
}: {
  label: string;
  className?: string;
  children: ReactNode;
}) {
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard can not scroll it
      tabIndex={0}
      className={`overflow-x-auto ${className ?? ""}`}
    >
      {children}
    </section>
  );
}
