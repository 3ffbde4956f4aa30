export interface ServerSentEvent {
  id: string | undefined;
  type: string;
  data: string;
}

/** Reads the `text/event-stream` format (WHATWG HTML, section 9.2); comments, used as heartbeats, are dropped. */
export async function* readServerSentEvents(
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<ServerSentEvent, void, void> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  let event: { id: string | undefined; type: string; data: string[] } = { id: undefined, type: "message", data: [] };
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (event.data.length > 0) yield { id: event.id, type: event.type, data: event.data.join("\n") };
        event = { id: undefined, type: "message", data: [] };
        continue;
      }
      if (line.startsWith(":")) continue;
      const colon = line.indexOf(":");
      const field = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") event.data.push(value);
      else if (field === "id") event.id = value;
      else if (field === "event") event.type = value;
    }
  }
}
