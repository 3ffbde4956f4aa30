import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf, imageRegistryConformance } from "@espalier/conformance";
import { type ByteStream, digestOfBytes, type ImageRegistry, ulid } from "@espalier/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseChallenge } from "./oci-authorization.ts";
import { ociConfigSchema } from "./oci-config.ts";
import { storedCredentials } from "./oci-credentials.ts";
import { createOciImageRegistry, isLoopback } from "./oci-image-registry.ts";
import { connectRegistry } from "./oci-registry-client.ts";

/** Set by `npm run test:servers -- packages`. */
const {
  ESPALIER_TEST_REGISTRY: registry = "",
  ESPALIER_TEST_REGISTRY_USERNAME: username = "",
  ESPALIER_TEST_REGISTRY_PASSWORD: password = "",
  ESPALIER_TEST_REGISTRY_FOLDER: folder = "",
} = process.env;
const account = { username, password };

const onServer = describe.skipIf(registry === "");
const title =
  registry === "" ? "a real registry (skipped: npm run test:servers -- packages starts one)" : "a real registry";

const open = (settings: object = {}, credentials: typeof account | undefined = account): ImageRegistry =>
  createOciImageRegistry(
    ociConfigSchema.parse({ registry, ...settings }),
    credentials === undefined ? {} : { credentials },
  );

async function* once(bytes: Uint8Array): ByteStream {
  yield bytes;
}
const blob = (bytes: Uint8Array) => ({
  mediaType: "application/octet-stream",
  digest: digestOfBytes(bytes),
  size: bytes.byteLength,
});

onServer(title, () => {
  imageRegistryConformance(
    { describe, it, expect },
    {
      // A registry forgets nothing: every case has repositories of its own.
      async open() {
        return { registry: open({ prefix: `case-${ulid().toLowerCase()}` }), close: async () => undefined };
      },
    },
  );

  it("says who may not in, and whom it can not reach, with what to do", async () => {
    const content = Buffer.from("blob");
    const put = (one: ImageRegistry) => () => one.putBlob("models/a", blob(content), once(content));
    expect(await codeOf(put(open({}, { username: "espalier", password: "wrong" })))).toBe("UNAUTHENTICATED");
    const nobody = createOciImageRegistry({ registry: "127.0.0.1:1" }, { credentials: account });
    expect(await codeOf(put(nobody))).toBe("UNREACHABLE");
    await expect(put(open({}, { username: "espalier", password: "wrong" }))()).rejects.toMatchObject({
      hint: expect.stringContaining(`podman login ${registry}`),
    });
    // TLS is not spoken there, and nothing falls back to plain text by itself.
    expect(await codeOf(put(open({ plain_http: false })))).toBe("UNREACHABLE");
  });

  it("takes the secret of the stack for a password", async () => {
    const { Secret } = await import("@espalier/core");
    const names: string[] = [];
    const stacked = createOciImageRegistry(
      ociConfigSchema.parse({ registry, username, password_secret: "registry-password" }),
      {
        secret: async (name) => {
          names.push(name);
          return new Secret(password);
        },
      },
    );
    expect(await stacked.hasBlob("models/a", digestOfBytes("none"))).toBe(false);
    expect(names).toEqual(["registry-password"]);
  });

  it("refuses a layer that was changed where the registry keeps it", async () => {
    const repository = `tampered/${ulid().toLowerCase()}`;
    const content = Buffer.from(`weights ${repository}`);
    await open().putBlob(repository, blob(content), once(content));
    const hex = digestOfBytes(content).slice(7);
    const path = join(folder, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    await writeFile(path, Buffer.from(`WEIGHTS ${repository}`));
    const read = async (): Promise<void> => {
      for await (const _chunk of await open().getBlob(repository, digestOfBytes(content)));
    };
    expect(await codeOf(read)).toBe("CORRUPTED");
  });

  it("goes on with an upload whose connection breaks in its middle", async () => {
    const content = Buffer.alloc(40 * 1024 * 1024);
    for (let index = 0; index < content.byteLength; index += 4096) content.writeUInt32LE(index, index);
    const cut = await startCutting(registry, 20 * 1024 * 1024);
    try {
      const broken = createOciImageRegistry({ registry: cut.address }, { credentials: account });
      const repository = `broken/${ulid().toLowerCase()}`;
      let readings = 0;
      const body: ByteStream = {
        async *[Symbol.asyncIterator]() {
          readings += 1;
          yield content;
        },
      };
      await broken.putBlob(repository, blob(content), body);
      expect(cut.cuts()).toBe(1);
      expect(readings).toBeGreaterThan(0);
      let bytes = 0;
      for await (const chunk of await open().getBlob(repository, digestOfBytes(content))) bytes += chunk.byteLength;
      expect(bytes).toBe(content.byteLength);
    } finally {
      await cut.close();
    }
  });

  it("leaves nothing of an upload whose content was wrong", async () => {
    const repository = `wrong/${ulid().toLowerCase()}`;
    const right = Buffer.alloc(20 * 1024 * 1024, "right");
    const wrong = Buffer.alloc(20 * 1024 * 1024, "wrong");
    expect(await codeOf(() => open().putBlob(repository, blob(right), once(wrong)))).toBe("INVALID_INPUT");
    const uploads = join(folder, "docker/registry/v2/repositories", repository, "_uploads");
    // The server forgets the content, and keeps the state of its hash.
    const left = await readdir(uploads, { recursive: true });
    expect(left.filter((name) => /\/(data|startedat)$/.test(name))).toEqual([]);
  });
});

/** A way to the registry that breaks once, after so many bytes of one direction. */
async function startCutting(
  target: string,
  bytes: number,
): Promise<{ address: string; cuts(): number; close(): Promise<void> }> {
  const [host = "", port = ""] = target.split(":");
  const sockets = new Set<Socket>();
  let passed = 0;
  let cuts = 0;
  const server: Server = createTcpServer((client) => {
    const upstream = connect(Number(port), host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket)).on("error", () => undefined);
    }
    client.on("data", (chunk: Buffer) => {
      passed += chunk.byteLength;
      if (passed > bytes && cuts === 0) {
        cuts += 1;
        client.destroy();
        upstream.destroy();
      }
    });
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No free port");
  return {
    address: `127.0.0.1:${address.port}`,
    cuts: () => cuts,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

describe("the way into a registry", () => {
  it("never leads a layer to a place without TLS because the registry names one", async () => {
    const client = connectRegistry({ registry: "127.0.0.1:1", plainHttp: false, credentials: async () => account });
    const target = "http://127.0.0.1:1/v2/models/a/blobs/uploads/1";
    const sent = client.send({
      method: "PATCH",
      target,
      repository: "models/a",
      what: "uploading",
      body: Buffer.of(1),
    });
    await expect(sent).rejects.toMatchObject({ code: "UNSUPPORTED", hint: expect.stringContaining("--plain-http") });
  });

  it("reads challenges", () => {
    expect(
      parseChallenge('Bearer realm="https://auth.example.com/token",service="reg",scope="repository:a:pull"'),
    ).toEqual({
      scheme: "bearer",
      realm: "https://auth.example.com/token",
      service: "reg",
      scope: "repository:a:pull",
    });
    expect(parseChallenge('Basic realm="x", Bearer realm="https://a"')).toMatchObject({ scheme: "bearer" });
    expect(parseChallenge('Basic realm="Bearer of bad news"')).toEqual({ scheme: "basic" });
    expect(parseChallenge("Negotiate")).toBeUndefined();
    expect(parseChallenge(null)).toBeUndefined();
  });

  it("speaks plainly to this machine only", () => {
    expect(["localhost:5000", "127.0.0.1:5000", "[::1]:5000"].map(isLoopback)).toEqual([true, true, true]);
    expect(["registry.example.com", "127.example.com", "10.0.0.1:5000"].map(isLoopback)).toEqual([false, false, false]);
  });

  describe("by tokens", () => {
    const asked: { path: string; authorization: string | undefined }[] = [];
    let expired = true;
    /** Docker's token protocol is a page of documentation; Debian's registry speaks it only with a key service that Debian has not. */
    const server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://any");
      asked.push({ path: request.url ?? "", authorization: request.headers.authorization });
      if (pathname === "/token") {
        if (request.headers.authorization !== `Basic ${Buffer.from("me:secret").toString("base64")}`) {
          return void response.writeHead(401).end();
        }
        const token = `for ${searchParams.get("scope")} at ${searchParams.get("service")}${expired ? " old" : ""}`;
        expired = false;
        return void response.end(JSON.stringify({ token: Buffer.from(token).toString("base64url"), expires_in: 300 }));
      }
      const scope = "repository:models/a:pull";
      const wanted = `Bearer ${Buffer.from(`for ${scope} at here`).toString("base64url")}`;
      if (request.headers.authorization !== wanted) {
        const realm = `http://127.0.0.1:${port()}/token`;
        return void response
          .writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="here",scope="${scope}"` })
          .end();
      }
      if (pathname.endsWith(digestOfBytes("moved"))) {
        return void response.writeHead(307, { location: `http://localhost:${port()}/elsewhere` }).end();
      }
      response.writeHead(pathname.includes("/blobs/") ? 404 : 500).end();
    });
    const port = (): number => {
      const address = server.address();
      return address !== null && typeof address === "object" ? address.port : 0;
    };
    beforeAll(() => new Promise<void>((done) => void server.listen(0, "127.0.0.1", done)));
    afterAll(() => void server.close());
    const client = (credentials: typeof account) =>
      createOciImageRegistry({ registry: `127.0.0.1:${port()}` }, { credentials });

    it("asks for one, renews what has run out, and keeps it for the next request", async () => {
      const one = client({ username: "me", password: "secret" });
      // The first token is refused once it is used: as if it had run out meanwhile.
      expect(await codeOf(() => one.hasBlob("models/a", digestOfBytes("none")))).toBe("UNAUTHENTICATED");
      expect(await one.hasBlob("models/a", digestOfBytes("none"))).toBe(false);
      const before = asked.length;
      expect(await one.hasBlob("models/a", digestOfBytes("none"))).toBe(false);
      expect(asked.slice(before).map(({ path }) => path.split("?")[0])).toEqual([
        `/v2/models/a/blobs/${digestOfBytes("none")}`,
      ]);
      expect(
        await codeOf(() => client({ username: "me", password: "wrong" }).hasBlob("models/a", digestOfBytes("none"))),
      ).toBe("UNAUTHENTICATED");
    });

    it("keeps the token from the place that it is sent on to", async () => {
      const one = client({ username: "me", password: "secret" });
      expect(await codeOf(() => one.hasBlob("models/a", digestOfBytes("moved")))).not.toBe("nothing thrown");
      const elsewhere = asked.filter(({ path }) => path === "/elsewhere");
      expect(elsewhere.length).toBeGreaterThan(0);
      expect(elsewhere.every(({ authorization }) => authorization === undefined)).toBe(true);
    });
  });

  it("finds what podman and docker wrote, the most particular first, and asks their helpers", async () => {
    const home = await mkdtemp(join(tmpdir(), "espalier-credentials-"));
    try {
      const auth = (pair: string) => ({ auth: Buffer.from(pair).toString("base64") });
      await mkdir(join(home, ".docker"));
      const file = join(home, ".docker/config.json");
      await writeFile(
        file,
        JSON.stringify({
          auths: {
            "registry.example.com": auth("team:one:two"),
            "registry.example.com/particular": auth("other:three"),
            "https://index.docker.io/v1/": auth("hub:four"),
            "token.example.com": { identitytoken: "five" },
          },
          credHelpers: { "helped.example.com": "test", "gone.example.com": "not-there" },
        }),
      );
      const bin = join(home, "bin");
      await mkdir(bin);
      const helper = `#!/bin/sh\nread -r host\necho "{\\"Username\\":\\"from $host\\",\\"Secret\\":\\"six\\"}"\n`;
      await writeFile(join(bin, "docker-credential-test"), helper, { mode: 0o755 });
      const environment = { HOME: home, PATH: `${bin}:/usr/bin:/bin` };
      const find = (host: string, repository = "a/b") => storedCredentials(host, repository, environment);
      expect(await find("registry.example.com")).toEqual({ username: "team", password: "one:two" });
      expect(await find("registry.example.com", "particular/a")).toEqual({ username: "other", password: "three" });
      expect(await find("docker.io")).toEqual({ username: "hub", password: "four" });
      expect(await find("token.example.com")).toEqual({ identityToken: "five" });
      expect(await find("unknown.example.com")).toBeUndefined();
      expect(await find("helped.example.com")).toEqual({ username: "from helped.example.com", password: "six" });
      expect(await codeOf(() => find("gone.example.com"))).toBe("NOT_INSTALLED");
      await writeFile(file, `{"auths": {"registry.example.com": {"auth": "${"secret".repeat(3)}`);
      await expect(find("registry.example.com")).rejects.toMatchObject({ code: "INVALID_CONFIG" });
      await expect(find("registry.example.com")).rejects.not.toThrow(/secretsecret/);
      expect((await stat(file)).isFile()).toBe(true);
    } finally {
      await rm(home, { recursive: true });
    }
  });
});
