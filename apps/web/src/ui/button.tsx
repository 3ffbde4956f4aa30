import type { ButtonHTMLAttributes } from "react";

const looks = {
  plain: "border-edge/60 bg-card hover:bg-sunken",
  primary: "border-leaf bg-leaf text-paper hover:opacity-90",
  danger: "border-bad/60 bg-card text-bad hover:bg-bad-soft",
} as const;
export type Look = keyof typeof looks;

export const buttonClass = (look: Look = "plain"): string =>
  `inline-flex min-h-9 items-center gap-2 rounded-lg border px-3 text-sm font-medium transition-colors disabled:opacity-50 ${looks[look]}`;

export function Button({
  look = "plain",
  className,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { look?: Look }) {
  return <button type="button" {...rest} className={`${buttonClass(look)} ${className ?? ""}`} />;
}

export const fieldClass =
  "min-h-9 rounded-lg border border-edge/60 bg-card px-3 text-sm placeholder:text-muted disabled:opacity-50";
