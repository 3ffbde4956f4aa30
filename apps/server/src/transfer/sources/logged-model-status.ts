/** MLflow writes it as a number or by name, with a prefix. */
export function loggedModelStatus(status: string | number): string {
  if (String(status) === "2" || String(status).endsWith("READY")) return "READY";
  return String(status) === "3" || String(status).endsWith("FAILED") ? "FAILED" : "PENDING";
}
