/** Sent as plain text, so that a browser shows at most letters. Those that MLflow's own server sends so are among them. */
const texts = new Set(
  (
    "txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json jsonl js mjs ts py py3 r sh sql csv tsv md rst ipynb " +
    "lock mlmodel mlproject"
  ).split(" "),
);

const types: Readonly<Record<string, string>> = {
  avif: "image/avif",
  bmp: "image/bmp",
  gif: "image/gif",
  ico: "image/vnd.microsoft.icon",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  png: "image/png",
  svg: "image/svg+xml",
  tif: "image/tiff",
  tiff: "image/tiff",
  webp: "image/webp",
  aac: "audio/aac",
  flac: "audio/flac",
  mp3: "audio/mpeg",
  oga: "audio/ogg",
  ogg: "audio/ogg",
  wav: "audio/wav",
  mov: "video/quicktime",
  mp4: "video/mp4",
  mpeg: "video/mpeg",
  webm: "video/webm",
  css: "text/css",
  htm: "text/html",
  html: "text/html",
  geojson: "application/geo+json",
  gz: "application/gzip",
  parquet: "application/vnd.apache.parquet",
  pdf: "application/pdf",
  tar: "application/x-tar",
  zip: "application/zip",
};

/** By the name alone: neither the request nor the file's bytes decide what a browser makes of it. */
export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const extension = name.slice(name.lastIndexOf(".") + 1);
  if (texts.has(extension)) return "text/plain; charset=utf-8";
  return types[extension] ?? "application/octet-stream";
}
