import { useQuery } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import { client } from "../api/client.ts";
import { useLive } from "../api/live.ts";
import { signOut } from "../api/session.ts";
import { PaletteKey } from "../features/palette/palette-key.tsx";
import { fieldClass } from "../ui/button.tsx";
import { navigation } from "./navigation.ts";
import { setTheme, type Theme, themes, useTheme } from "./theme.ts";

/** Navigation beside the page, above it on narrow screens. */
export function Layout() {
  const project = useQuery({ queryKey: ["project.info"], queryFn: () => client.call("project.info") });
  useLive(project.data !== undefined);
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[13rem_minmax(0,1fr)]">
      <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:bg-card focus:p-3">
        Skip to the page
      </a>
      <header className="flex flex-wrap items-center gap-3 border-b border-line bg-sunken px-4 py-3 md:sticky md:top-0 md:h-dvh md:flex-col md:items-stretch md:border-r md:border-b-0 md:py-6">
        <div className="md:px-2 md:pb-4">
          <p className="font-serif text-xl">Espalier</p>
          <p className="text-[13px] text-muted wrap-anywhere">{project.data?.project ?? "\u00a0"}</p>
        </div>
        <nav aria-label="Pages" className="flex flex-1 gap-1 md:flex-col">
          {navigation.map(({ to, label }) => (
            <Link
              key={to}
              to={to}
              activeOptions={{ exact: to === "/" }}
              className="rounded-lg px-3 py-2 text-sm text-muted hover:text-ink aria-[current=page]:bg-leaf-soft aria-[current=page]:font-medium aria-[current=page]:text-ink"
            >
              {label}
            </Link>
          ))}
        </nav>
        <PaletteKey />
        <ThemeChoice />
        <SignOut />
      </header>
      <main id="page" tabIndex={-1} className="min-w-0 outline-none">
        <Outlet />
      </main>
    </div>
  );
}

function SignOut() {
  return (
    <button
      type="button"
      className="rounded-lg px-3 py-2 text-left text-sm text-muted hover:text-ink"
      onClick={() => void signOut().finally(() => location.assign("/sign-in"))}
    >
      Sign out
    </button>
  );
}

function ThemeChoice() {
  const theme = useTheme();
  return (
    <select
      aria-label="Theme"
      value={theme}
      onChange={(event) => setTheme(event.target.value as Theme)}
      className={fieldClass}
    >
      {themes.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
