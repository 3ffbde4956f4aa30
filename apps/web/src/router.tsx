import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { Layout } from "./app/layout.tsx";
import { NothingHere, PageProblem } from "./app/page-problem.tsx";
import { readCompareAddress } from "./features/compare/compare-address.ts";
import { readRunAddress } from "./features/run/run-address.ts";
import { readRunFilters } from "./features/runs/filters.ts";
import { readSignInAddress } from "./features/sign-in/sign-in-address.ts";

const root = createRootRoute({ component: Layout, notFoundComponent: NothingHere, errorComponent: PageProblem });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/runs" });
  },
});

const runs = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  validateSearch: readRunFilters,
  component: lazyRouteComponent(() => import("./features/runs/runs-page.tsx"), "RunsPage"),
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$runId",
  validateSearch: readRunAddress,
  component: lazyRouteComponent(() => import("./features/run/run-page.tsx"), "RunPage"),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: readCompareAddress,
  component: lazyRouteComponent(() => import("./features/compare/compare-page.tsx"), "ComparePage"),
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: readSignInAddress,
  component: lazyRouteComponent(() => import("./features/sign-in/sign-in-page.tsx"), "SignInPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([signIn, home, runs, run, compare]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
