import { expect, test } from "vitest";
import { addressOf, isLoopbackAddress, isPublicAddress } from "./public-address.ts";

test("only addresses that anybody can reach are public", () => {
  for (const address of ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]) {
    expect([address, isPublicAddress(address)]).toEqual([address, true]);
  }
  for (const address of [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "not an address",
  ]) {
    expect([address, isPublicAddress(address)]).toEqual([address, false]);
  }
  expect(["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1"].map(isLoopbackAddress)).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

/** Spellings that some parser somewhere takes for a private address. */
test.each([
  "https://127.0.0.1/",
  "https://127.1/",
  "https://0x7f.1/",
  "https://2130706433/",
  "https://0177.0.0.1/",
  "https://0/",
  "https://localhost/",
  "https://[::1]/",
  "https://[::ffff:127.0.0.1]/",
  "https://169.254.169.254/latest/meta-data",
  "https://10.0.0.1:8443/",
  "http://8.8.8.8/",
])("%s is refused", async (url) => {
  await expect(addressOf(new URL(url), { allowLoopback: false })).rejects.toThrow(/non-public IP address|scheme/);
});

test("loopback is reached only where that is allowed, and nothing else private is by it", async () => {
  expect(await addressOf(new URL("http://127.0.0.1:1/"), { allowLoopback: true })).toEqual({
    address: "127.0.0.1",
    family: 4,
  });
  for (const url of ["https://10.0.0.1/", "http://192.168.0.1/", "https://169.254.169.254/"]) {
    await expect(addressOf(new URL(url), { allowLoopback: true })).rejects.toThrow(/non-public IP address|scheme/);
  }
  expect(await addressOf(new URL("https://8.8.8.8/"))).toEqual({ address: "8.8.8.8", family: 4 });
});
