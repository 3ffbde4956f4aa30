import type { ByteStream } from "./artifact-store.ts";

export interface LocalFile {
  /** Relative to the walked folder, POSIX separators. */
  path: string;
  /** Bytes. */
  size: number;
  /** Whether the owner may execute it. */
  executable: boolean;
}

/**
 * The disk of this machine, so that the trunk itself does no I/O. Paths are absolute.
 *
 * Errors: NOT_FOUND, INVALID_INPUT (a symlink that escapes or leads nowhere, a socket or device), DISK_FULL, PERMISSION_DENIED.
 */
export interface LocalFiles {
  /** undefined: nothing there. Follows symlinks. */
  stat(path: string): Promise<{ kind: "file" | "folder"; size: number; executable: boolean } | undefined>;
  /**
   * Every file below a folder, in no particular order. Symlinks that stay inside the folder are followed.
   * `exclude` is asked for files and folders before they are looked at; an excluded folder is not entered.
   */
  walk(root: string, exclude?: (relativePath: string) => boolean): AsyncIterable<LocalFile>;
  read(path: string): ByteStream;
  /** Atomic: a temporary name, then a rename over whatever file is there. Makes parent folders. */
  writeFile(path: string, body: ByteStream, options?: { executable?: boolean }): Promise<void>;
  /** A file; removing what is not there is success. */
  removeFile(path: string): Promise<void>;
  /**
   * Atomic: what `fill` writes lands in a temporary folder that is then renamed; nothing is left when it throws.
   * ALREADY_EXISTS when `path` is there and is not an empty folder.
   */
  writeFolder(path: string, fill: (write: WriteIntoFolder) => Promise<void>): Promise<void>;
}

/** `relativePath` has POSIX separators; parent folders are made. */
export type WriteIntoFolder = (
  relativePath: string,
  body: ByteStream,
  options?: { executable?: boolean },
) => Promise<void>;
