import { useRouter } from "@tanstack/react-router";
import { Page } from "../ui/page.tsx";
import { Empty, Problem } from "../ui/states.tsx";

/** A page that could not be drawn, or whose code did not arrive. */
export function PageProblem({ error }: { error: unknown }) {
  const router = useRouter();
  return (
    <Page title="This page could not be shown">
      <Problem error={error} retry={() => void router.invalidate()} />
    </Page>
  );
}

export function NothingHere() {
  return (
    <Page title="There is nothing here">
      <Empty title="No page has this address">Choose one from the navigation.</Empty>
    </Page>
  );
}
