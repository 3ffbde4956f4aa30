import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createClient } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

const executablePath = process.env["ESPALIER_TEST_CHROMIUM"];
const root = resolve(import.meta.dirname, "../..");
const images = join(root, "docs/images");
/** Named to run as a script wherever a page would take text for markup. */
const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

const pipeline = `
name: train
params: { rate: 0.1, note: ${JSON.stringify(hostile)} }
steps:
  prepare: { run: 'echo 1 > "$ESPALIER_OUTPUTS/rows"', outputs: { rows: file } }
  train:
    run: |
      for i in 1 2 3 4 5 6 7 8; do
        echo "{\\"type\\":\\"metric\\",\\"key\\":\\"loss\\",\\"value\\":0.$((9-i)),\\"step\\":$i}" >> "$ESPALIER_EVENTS"
        echo "epoch $i of" \${{ params.note }}
      done
      echo \${{ params.rate }}
      cp "$ESPALIER_INPUTS/rows" "$ESPALIER_OUTPUTS/model"
    inputs: { rows: prepare.rows }
    outputs: { model: file }
  check: { run: 'test -z "$ESPALIER_FAIL"', needs: [train] }
`;

if (executablePath === undefined) {
  test.skip("the web UI in Chromium (skipped: needs a browser; `npm run test:servers -- web` finds one)", () =>
    undefined);
} else {
  describe("the web UI in Chromium", () => {
    let folder: string;
    let plane: StartedControlPlane;
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    const runs: string[] = [];
    /** What the browser complained of; a page that breaks the content security policy says so here. */
    const complaints: string[] = [];

    const start = async (port = 0): Promise<void> => {
      plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port });
    };
    const open = (path: string) => page.goto(new URL(path, plane.url).href);
    const signIn = async (): Promise<void> => {
      await page.goto(plane.signInUrl?.() ?? "");
      await page.waitForURL("**/runs*");
    };

    beforeAll(async () => {
      execFileSync("npm", ["run", "--silent", "build", "-w", "@espalier/web", "--", "--logLevel", "error"], {
        cwd: root,
        stdio: "inherit",
      });
      folder = await mkdtemp(join(tmpdir(), "espalier-web-"));
      await mkdir(join(folder, "pipelines"));
      await mkdir(images, { recursive: true });
      await writeFile(
        join(folder, "espalier.yaml"),
        "project: flights\ndefault_stack: laptop\nstacks:\n  laptop: {}\n  servers: { artifacts: { uses: filesystem, with: { path: ./shared } }, compute: { train: { uses: ray, with: { address: 'http://127.0.0.1:8265' } } } }\n",
      );
      await writeFile(join(folder, "pipelines/train.yaml"), pipeline);
      await start();
      const client = createClient({ url: plane.url, token: plane.token });
      for (const rate of [0.1, 0.2, 0.4]) {
        const { id } = await client.call("runs.create", { body: { pipeline: "train", params: { rate } } });
        for await (const _ of client.events("runs.events", { params: { runId: id } }));
        runs.push(id);
      }
      for (const rows of ["id,late\n1,true\n", "id,late\n1,true\n2,false\n"]) {
        await writeFile(join(folder, "rows.csv"), rows);
        await client.call("datasets.log", { body: { name: "rows", path: "rows.csv" } });
      }
      await fetch(new URL("/api/2.0/mlflow/registered-models/create", plane.url), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: hostile.replaceAll("/", "") }),
      });
      browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      await plane?.close();
      await rm(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      context = await browser.newContext({ viewport: { width: 1280, height: 850 } });
      page = await context.newPage();
      complaints.length = 0;
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (message) => {
        if (/Content Security Policy/i.test(message.text())) complaints.push(message.text());
      });
    });
    afterEach(() => context.close());

    test("a link signs in, once; a page that was asked for without a session is shown after signing in", async () => {
      const link = plane.signInUrl?.() ?? "";
      await page.goto(link);
      await page.waitForURL("**/runs*");
      await page.getByText("flights").waitFor();
      expect(page.url()).not.toContain("#");
      expect(await page.evaluate("document.cookie")).toBe("");
      const other = await browser.newContext();
      const second = await other.newPage();
      await second.goto(link);
      await second.getByText("This link was used already").waitFor();
      await second.goto(new URL(`/runs/${runs[0]}`, plane.url).href);
      await second.getByLabel("Token").fill(plane.token);
      await second.getByRole("button", { name: "Sign in" }).click();
      await second.waitForURL(`**/runs/${runs[0]}`);
      await other.close();
    });

    test("each page is shown, in light and dark, and nothing breaks the policy", async () => {
      await signIn();
      for (const scheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        await open("/?stack=servers");
        await expectText("another tool than by default");
        await expectText("no endpoint");
        await page.screenshot({ path: join(images, `web-home-${scheme}.png`), fullPage: true });
        await open("/stacks");
        await expectText("espalier move laptop..servers");
        await expectText("writes, reads back and deletes");
        await page.screenshot({ path: join(images, `web-stacks-${scheme}.png`), fullPage: true });
        await open("/data/rows");
        await expectText("1 rows became 2.");
        await page.screenshot({ path: join(images, `web-data-${scheme}.png`) });
        await open("/data");
        await page.getByRole("link", { name: "rows" }).waitFor();
        await open("/models");
        await expectText("<img src=x onerror=");
        await page.getByRole("link", { name: /img src/ }).click();
        await expectText("Registered");
        await open("/endpoints");
        await expectText("Nothing serves yet");
        await open("/maturity");
        await expectText("training is a pipeline that runs as a whole");
        await page.screenshot({ path: join(images, `web-maturity-${scheme}.png`), fullPage: true });
        await open("/advise");
        await page.getByLabel("sql: you", { exact: true }).selectOption("runs it");
        await page.getByLabel("Requests a second").fill("5000");
        await page.getByRole("button", { name: "Advise", exact: true }).click();
        await expectText("To learn:");
        await page.locator("summary", { hasText: "deploy and serve" }).click();
        await expectText("5000 requests a second");
        await page.screenshot({ path: join(images, `web-advise-${scheme}.png`), fullPage: true });
        await open("/runs");
        await expectText("3 runs loaded");
        await page.screenshot({ path: join(images, `web-runs-${scheme}.png`) });
        await open(`/runs/${runs[0]}?step=train`);
        await page.getByRole("link", { name: /train/ }).first().waitFor();
        await expectText("epoch 8 of");
        await page.screenshot({ path: join(images, `web-run-${scheme}.png`), fullPage: true });
        await open(`/compare?runs=${runs.join(",")}`);
        await expectText("rate");
        await page.screenshot({ path: join(images, `web-compare-${scheme}.png`) });
      }
      expect(complaints).toEqual([]);
    });

    async function expectText(text: string): Promise<void> {
      await page.getByText(text).first().waitFor({ timeout: 30_000 });
    }

    test("markup in a parameter and in a log is text", async () => {
      await signIn();
      await open(`/runs/${runs[0]}?step=train`);
      await expectText("epoch 8 of <img src=x onerror=");
      expect(await page.title()).not.toBe("owned");
      expect(await page.locator("img[src=x]").count()).toBe(0);
      expect(complaints).toEqual([]);
    });

    test("a search in MLflow's language finds, and a wrong one says what is wrong", async () => {
      await signIn();
      await open(`/runs?${new URLSearchParams({ search: "params.rate = '0.2'" })}`);
      await expectText("1 run loaded");
      await open(`/runs?${new URLSearchParams({ search: "params.rate ==== 1" })}`);
      await page.getByRole("alert").waitFor();
      expect(await page.getByRole("alert").textContent()).toContain("INVALID_INPUT");
    });

    test("a run that is not there, and an address that is none, say so", async () => {
      await signIn();
      await open("/runs/01NOTTHERE");
      await page.getByRole("alert").waitFor();
      expect(await page.getByRole("alert").textContent()).toContain("NOT_FOUND");
      await open("/nowhere");
      await expectText("No page has this address");
    });

    test("a server that goes away is told, and the session goes on after its restart", async () => {
      await signIn();
      const port = Number(new URL(plane.url).port);
      await plane.close();
      await page
        .getByRole("button", { name: "Search" })
        .click()
        .catch(() => undefined);
      await page.reload().catch(() => undefined);
      await start(port);
      await open("/runs");
      await expectText("3 runs loaded");
    });

    test("what changes is shown by itself, also after the server was away", async () => {
      const begin = () =>
        createClient({ url: plane.url, token: plane.token }).call("runs.create", { body: { pipeline: "train" } });
      await signIn();
      await expectText("3 runs loaded");
      await begin();
      await expectText("4 runs loaded");
      const port = Number(new URL(plane.url).port);
      await plane.close();
      await start(port);
      await begin();
      await expectText("5 runs loaded");
    });

    test("keyboard alone reaches a run by the palette, and signing out ends the session", async () => {
      await signIn();
      await page.keyboard.press("Control+k");
      await page.getByRole("dialog").getByRole("combobox").waitFor();
      await page.keyboard.type((runs[1] ?? "").slice(-8));
      await page.getByRole("dialog").getByRole("option").first().waitFor();
      await page.keyboard.press("Enter");
      await page.waitForURL(`**/runs/${runs[1]}*`);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.waitForURL("**/sign-in*");
      await open("/runs");
      await page.waitForURL("**/sign-in?to=*");
    });
  });
}
