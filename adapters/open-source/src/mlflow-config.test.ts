import { expect, test } from "vitest";
import { mlflowTrackingConfigSchema } from "./mlflow-config.ts";

test("the address of a server holds no credentials", () => {
  const accepts = (address: string) => mlflowTrackingConfigSchema.safeParse({ tracking_uri: address }).success;
  expect(accepts("https://mlflow.example.com:5000/team@a")).toBe(true);
  expect(accepts("https://ana:secret@mlflow.example.com")).toBe(false);
  expect(accepts("https://token@mlflow.example.com/x")).toBe(false);
  expect(accepts("ftp://mlflow.example.com")).toBe(false);
});
