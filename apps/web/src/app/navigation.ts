/** Pages in the side bar, in the order of the loop. A page is added here and in `router.tsx`. */
export const navigation = [{ to: "/runs", label: "Runs" }] as const;
