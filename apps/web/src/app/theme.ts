import { useSyncExternalStore } from "react";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const key = "espalier.theme";
const listeners = new Set<() => void>();

function isTheme(text: string | null): text is Theme {
  return themes.some((theme) => theme === text);
}

function readTheme(): Theme {
  const stored = localStorage.getItem(key);
  return isTheme(stored) ? stored : "system";
}

/** Called once before the first paint, so that the page never flashes in the other theme. */
export function applyTheme(theme: Theme = readTheme()): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

export function setTheme(theme: Theme): void {
  localStorage.setItem(key, theme);
  applyTheme(theme);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, readTheme);
}
