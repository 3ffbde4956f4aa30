import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { signIn } from "../../api/session.ts";
import { Button, fieldClass } from "../../ui/button.tsx";
import { Page } from "../../ui/page.tsx";
import { Loading, Problem } from "../../ui/states.tsx";

/** By the link that `espalier up` prints, or by a token. */
export function SignInPage() {
  const { to } = useSearch({ from: "/sign-in" });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [token, setToken] = useState("");
  const entering = useMutation({
    mutationFn: signIn,
    onSuccess: async () => {
      await queries.resetQueries();
      await navigate({ href: to, replace: true });
    },
  });
  const { mutate } = entering;
  const begun = useRef(false);
  useEffect(() => {
    const code = location.hash.slice(1);
    if (code === "" || begun.current) return;
    begun.current = true;
    // Out of the address and its history, before anybody can copy it.
    history.replaceState(null, "", location.pathname + location.search);
    mutate({ code });
  }, [mutate]);

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    mutate({ token: token.trim() });
  };
  return (
    <Page title="Sign in">
      {entering.isPending && <Loading what="your session" />}
      {entering.isError && <Problem error={entering.error} />}
      <form onSubmit={submit} className="mt-6 flex max-w-xl flex-col gap-3">
        <label htmlFor="token" className="text-sm font-medium">
          Token
        </label>
        <input
          id="token"
          type="password"
          autoComplete="current-password"
          required
          value={token}
          onChange={(event) => setToken(event.target.value)}
          className={fieldClass}
        />
        <p className="text-sm text-muted">
          Start the control plane with <code className="font-mono">espalier up</code>: it prints a link that signs you
          in. A token of <code className="font-mono">espalier token create</code> does as well; the owner's is in{" "}
          <code className="font-mono">.espalier/owner.json</code>.
        </p>
        <div>
          <Button type="submit" look="primary" disabled={token.trim() === "" || entering.isPending}>
            Sign in
          </Button>
        </div>
      </form>
    </Page>
  );
}
