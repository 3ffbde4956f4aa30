import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Layout } from "./app/layout.tsx";
import { NothingHere, PageProblem } from "./app/page-problem.tsx";
import { readAdviseAddress } from "./features/advise/draft.ts";
import { readCompareAddress } from "./features/compare/compare-address.ts";
import { readDataAddress } from "./features/data/data-address.ts";
import { readRunAddress } from "./features/run/run-address.ts";
import { readRunFilters } from "./features/runs/filters.ts";
import { readSignInAddress } from "./features/sign-in/sign-in-address.ts";
import { readStackAddress } from "./features/stacks/stack-address.ts";

const root = createRootRoute({ component: Layout, notFoundComponent: NothingHere, errorComponent: PageProblem });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: readStackAddress,
  component: lazyRouteComponent(() => import("./features/home/home-page.tsx"), "HomePage"),
});

const stacks = createRoute({
  getParentRoute: () => root,
  path: "/stacks",
  validateSearch: readStackAddress,
  component: lazyRouteComponent(() => import("./features/stacks/stacks-page.tsx"), "StacksPage"),
});

const advise = createRoute({
  getParentRoute: () => root,
  path: "/advise",
  validateSearch: readAdviseAddress,
  component: lazyRouteComponent(() => import("./features/advise/advise-page.tsx"), "AdvisePage"),
});

const maturity = createRoute({
  getParentRoute: () => root,
  path: "/maturity",
  component: lazyRouteComponent(() => import("./features/maturity/maturity-page.tsx"), "MaturityPage"),
});

const data = createRoute({
  getParentRoute: () => root,
  path: "/data",
  component: lazyRouteComponent(() => import("./features/data/data-page.tsx"), "DataPage"),
});

const dataset = createRoute({
  getParentRoute: () => root,
  path: "/data/$name",
  validateSearch: readDataAddress,
  component: lazyRouteComponent(() => import("./features/data/data-page.tsx"), "DatasetPage"),
});

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  component: lazyRouteComponent(() => import("./features/models/models-page.tsx"), "ModelsPage"),
});

const model = createRoute({
  getParentRoute: () => root,
  path: "/models/$name",
  component: lazyRouteComponent(() => import("./features/models/models-page.tsx"), "ModelPage"),
});

const endpoints = createRoute({
  getParentRoute: () => root,
  path: "/endpoints",
  component: lazyRouteComponent(() => import("./features/endpoints/endpoints-page.tsx"), "EndpointsPage"),
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
  routeTree: root.addChildren([
    signIn,
    home,
    stacks,
    advise,
    maturity,
    data,
    dataset,
    models,
    model,
    endpoints,
    runs,
    run,
    compare,
  ]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
