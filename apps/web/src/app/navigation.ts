/** Pages in the side bar, in the order of the loop. A page is added here and in `router.tsx`. */
export const navigation = [
  { to: "/", label: "Home" },
  { to: "/runs", label: "Runs" },
  { to: "/data", label: "Data" },
  { to: "/models", label: "Models" },
  { to: "/endpoints", label: "Endpoints" },
  { to: "/stacks", label: "Stacks" },
  { to: "/advise", label: "Advise" },
  { to: "/maturity", label: "Maturity" },
] as const;
