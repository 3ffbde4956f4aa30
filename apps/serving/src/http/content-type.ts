/** The parts of a Content-Type header, lower case. */
export interface ContentType {
  /** `application/json`; empty when there is no header. */
  type: string;
  charset: string;
  /** Triton's `json-header-size`: bytes of JSON before binary tensors. */
  jsonHeaderSize?: string;
  /** Names of further parameters. */
  others: string[];
}

const json: ContentType = { type: "application/json", charset: "utf-8", others: [] };

export function parseContentType(header: string | undefined): ContentType {
  // Nearly every request has exactly this.
  if (header === "application/json") return json;
  const [type = "", ...parameters] = (header ?? "").split(";").map((part) => part.trim());
  let charset = "utf-8";
  let jsonHeaderSize: string | undefined;
  const others: string[] = [];
  for (const parameter of parameters) {
    if (parameter === "") continue;
    const [name = "", value = ""] = parameter.split("=", 2).map((part) => part.trim().toLowerCase());
    if (name === "charset") charset = value.replaceAll('"', "");
    else if (name === "json-header-size") jsonHeaderSize = value;
    else others.push(name);
  }
  return {
    type: type.toLowerCase(),
    charset: charset === "utf8" ? "utf-8" : charset,
    ...(jsonHeaderSize === undefined ? {} : { jsonHeaderSize }),
    others,
  };
}
