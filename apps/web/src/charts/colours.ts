import { useEffect, useState } from "react";
import { useTheme } from "../app/theme.ts";

/** Tokens for curves side by side, apart in both themes; behind the last of them lines are dashed instead. */
const curveTokens = ["live", "aws", "leaf", "azure", "bad", "open-source", "bark", "google"] as const;
const dashes = [[], [8, 4], [2, 4], [10, 3, 2, 3]] as const;

export interface Stroke {
  /** A CSS colour that a canvas understands. */
  colour: string;
  dash: number[];
}

/** A canvas does not know custom properties: an element is asked what the token comes to in the theme of the moment. */
export function tokenColour(token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--c-${token})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

export function strokeOf(index: number): Stroke {
  const token = curveTokens[index % curveTokens.length] ?? "live";
  return {
    colour: tokenColour(token),
    dash: [...(dashes[Math.floor(index / curveTokens.length) % dashes.length] ?? [])],
  };
}

/** Changes when the colours do: on another theme, or when the system goes from day to night. */
export function useColourScheme(): string {
  const theme = useTheme();
  const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const listen = () => setDark(query.matches);
    query.addEventListener("change", listen);
    return () => query.removeEventListener("change", listen);
  }, []);
  return `${theme} ${isDark}`;
}
