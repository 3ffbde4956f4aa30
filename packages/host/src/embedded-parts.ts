import type { BuiltinDeclaration, LocalFiles } from "@espalier/core";

/** What the control plane needs of the embedded tools whatever the stack is; loaded on use, since it takes longer than a command's help. */
export async function loadEmbeddedParts(): Promise<{ files: LocalFiles; dataBuiltins: readonly BuiltinDeclaration[] }> {
  const { createLocalFiles, dataBuiltins } = await import("@espalier/embedded");
  return { files: createLocalFiles(), dataBuiltins };
}
