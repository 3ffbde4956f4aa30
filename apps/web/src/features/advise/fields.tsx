import type { ReactNode } from "react";
import { fieldClass } from "../../ui/button.tsx";

export const fieldRow = "flex flex-wrap items-end gap-x-5 gap-y-3";

export function Section({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <fieldset className="min-w-0 rounded-xl border border-line bg-card px-5 py-4">
      <legend className="px-1 font-serif text-lg">{title}</legend>
      {hint !== undefined && <p className="mb-3 text-sm text-muted">{hint}</p>}
      {children}
    </fieldset>
  );
}

export function Labelled({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label className="flex flex-col gap-1 text-sm">
      <span className="text-muted">{label}</span>
      {children}
    </label>
  );
}

/** A number from 0; empty is `undefined` where that means no bound. */
export function NumberField({
  label,
  value,
  onChange,
  isOptional = false,
}: {
  label: string;
  value: number | undefined;
  onChange: (value: number | undefined) => void;
  isOptional?: boolean;
}) {
  return (
    <Labelled label={label}>
      <input
        type="number"
        min={0}
        step="any"
        required={!isOptional}
        className={`${fieldClass} w-36`}
        value={value ?? ""}
        onChange={({ target }) => onChange(target.value === "" ? undefined : Math.max(0, Number(target.value)))}
      />
    </Labelled>
  );
}

export function Choice<Value extends string>({
  label,
  value,
  values,
  onChange,
}: {
  label: string;
  value: Value;
  values: readonly Value[];
  onChange: (value: Value) => void;
}) {
  return (
    <Labelled label={label}>
      <select className={fieldClass} value={value} onChange={({ target }) => onChange(target.value as Value)}>
        {values.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </Labelled>
  );
}

export function Check({
  label,
  checked,
  onChange,
  isLabelHidden = false,
}: {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  isLabelHidden?: boolean;
}) {
  return (
    <label className="inline-flex min-h-9 items-center gap-2 text-sm">
      <input
        type="checkbox"
        className="size-4 accent-leaf"
        checked={checked}
        onChange={({ target }) => onChange(target.checked)}
      />
      <span className={isLabelHidden ? "sr-only" : ""}>{label}</span>
    </label>
  );
}
