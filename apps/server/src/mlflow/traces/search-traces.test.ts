import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth, type TestDatabase } from "../../db/testing/databases.ts";
import { type RawFace, startRawFace } from "../testing/raw-face.ts";
import { findTraces, sendSpans, startTrace, traces3 } from "../testing/trace-requests.ts";

/** Three traces: `fine` (the newest), `slow` and `bad`, with spans, assessments and a session. */
async function threeTraces(database: TestDatabase): Promise<RawFace> {
  const face = await startRawFace(database);
  const at = (second: number): string => `2026-01-01T00:00:0${second}Z`;
  const id = { bad: "a", slow: "b", fine: "c" };
  const name = (one: keyof typeof id): string => `tr-${id[one].repeat(32)}`;
  const span = (trace: keyof typeof id, spanName: string, attributes: object, more: object = {}): object => ({
    traceId: id[trace].repeat(32),
    spanId: Buffer.from(spanName.padEnd(8)).toString("hex"),
    parentSpanId: "1".repeat(16),
    name: spanName,
    startTimeUnixNano: 1,
    endTimeUnixNano: 2,
    attributes: Object.entries(attributes).map(([key, value]) => ({ key, value })),
    ...more,
  });
  const text = (stringValue: string): object => ({ stringValue });
  const spans = [
    span("bad", "call", { "mlflow.spanType": text("LLM"), model: text("gpt-4"), tokens: { intValue: 12 } }),
    span("bad", "fail", { "odd `%_name": text("x") }, { status: { code: 2 } }),
    span("slow", "call", { "mlflow.spanType": text("TOOL"), ratio: { doubleValue: 0.5 }, ok: { boolValue: true } }),
    span("fine", "look", { model: text("claude"), note: text('says "hello"') }),
  ];
  await sendSpans(face, JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }), {
    "content-type": "application/json",
  });
  await startTrace(face, name("bad"), {
    request_time: at(1),
    execution_duration: "0.5s",
    state: "ERROR",
    tags: { "mlflow.traceName": "Bad one", team: "red" },
    client_request_id: "cr-1",
  });
  await startTrace(face, name("slow"), {
    request_time: at(2),
    execution_duration: "5s",
    trace_metadata: { "mlflow.trace.session": "s1", who: "ana" },
    tags: { team: "blue" },
  });
  await startTrace(face, name("fine"), { request_time: at(3), trace_metadata: { "mlflow.trace.session": "s1" } });
  const assess = async (one: keyof typeof id, assessment: object) => {
    const source = { source_type: "HUMAN", source_id: "me" };
    const answer = await face.call("POST", `${traces3}/${name(one)}/assessments`, {
      assessment: { source, ...assessment },
    });
    if (answer.status !== 200) throw new Error(answer.body.message);
  };
  await assess("bad", { assessment_name: "score", feedback: { value: 0.25 } });
  await assess("slow", { assessment_name: "score", feedback: { value: 7 } });
  await assess("slow", { assessment_name: "correct", feedback: { value: true } });
  await assess("bad", { assessment_name: "correct", feedback: { value: "maybe" } });
  await assess("bad", { assessment_name: "answer", expectation: { value: "42" } });
  await assess("fine", {
    assessment_name: "happy",
    feedback: { value: "yes" },
    metadata: { "mlflow.trace.session": "s1" },
  });
  await assess("slow", { assessment_name: "iss-1", issue: { issue_name: "slow" } });
  return face;
}

const names: Readonly<Record<string, string>> = { a: "bad", b: "slow", c: "fine" };
const find = async (face: RawFace, filter: string, more: object = {}): Promise<string> =>
  (await findTraces(face, filter, more)).map((id) => names[id.at(-1) ?? ""]).join(" ");

const expected: Readonly<Record<string, string>> = {
  "": "fine slow bad",
  "status = 'OK'": "fine slow",
  "trace.status IN ('ERROR', 'IN_PROGRESS')": "bad",
  "attributes.status != 'OK'": "bad",
  "request_id LIKE 'tr-b%'": "slow",
  "client_request_id = 'cr-1'": "bad",
  "timestamp_ms > 1767225601000": "fine slow",
  "timestamp <= 1767225601000": "bad",
  "execution_time > 500": "slow",
  "execution_time_ms >= 500": "slow bad",
  "end_time = 1767225607000": "slow",
  "name = 'Bad one'": "bad",
  "trace.name ILIKE 'bad%'": "bad",
  "name IS NULL": "fine slow",
  "tags.team != 'red'": "slow",
  "tag.team IS NOT NULL AND metadata.who = 'ana'": "slow",
  "request_metadata.`mlflow.trace.session` = 's1'": "fine slow",
  "span.name = 'call'": "slow bad",
  "span.name = 'call' AND span.type = 'LLM'": "bad",
  // Of one span, not of two.
  "span.name = 'call' AND span.status = 'ERROR'": "",
  "span.status = 'ERROR'": "bad",
  "span.type IN ('LLM', 'TOOL')": "slow bad",
  "span.attributes.model = 'gpt-4'": "bad",
  "span.attributes.model LIKE '%u%'": "fine",
  "span.attributes.model != 'gpt-4'": "fine",
  "span.attributes.tokens = '12'": "bad",
  "span.attributes.ratio = '0.5'": "slow",
  "span.attributes.ok = 'true'": "slow",
  "span.attributes.note = 'says \"hello\"'": "fine",
  "span.attributes.odd = 'x'": "",
  "trace.text LIKE '%claude%'": "fine",
  "text ILIKE '%GPT%'": "bad",
  "span.content LIKE '%nothing%'": "",
  "feedback.score > 0.5": "slow",
  "feedback.score <= 0.25": "bad",
  "feedback.correct = 'true'": "slow",
  "feedback.correct LIKE 'may%'": "bad",
  "feedback.correct IS NULL": "fine",
  // An assessment of a session is one of all its traces.
  "feedback.happy = 'yes'": "fine slow",
  "feedback.happy IS NOT NULL": "fine slow",
  "expectation.answer = '42'": "bad",
  "expectation.score IS NOT NULL": "",
  "issue.id = 'iss-1'": "slow",
  "run_id IS NULL": "fine slow bad",
  "name RLIKE '^Bad (one|two)$'": "bad",
  "trace.name RLIKE '^one'": "",
  "tags.team RLIKE 'blue|green'": "slow",
  "span.attributes.model RLIKE '^gpt-[0-9]$'": "bad",
  "feedback.correct RLIKE '^ma.be$'": "bad",
};

describeOnBoth("searches of traces", await startPostgres(), (database) => {
  test("filters mean what MLflow means by them", async () => {
    const face = await threeTraces(database);
    const found: Record<string, string> = {};
    for (const filter of Object.keys(expected)) found[filter] = await find(face, filter);
    expect(found).toEqual(expected);
  });

  test("what no trace can meet is refused", async () => {
    const face = await startRawFace(database);
    const refused: Record<string, RegExp> = {
      "foo = 'x'": /Invalid attribute key 'foo' specified/,
      "status > 'OK'": /Invalid comparator '>'/,
      "span.foo = 'x'": /Invalid span key 'foo'/,
      "span.attributes. = 'x'": /./,
      "span.name > 'x'": /Invalid comparator '>'/,
      "trace.text = 'x'": /Invalid comparator '='/,
      "feedback.x > 'a'": /./,
      "feedback.x = 5": /Expected a quoted string value/,
      "feedback.x IN ('a')": /./,
      "prompt != 'a/1'": /Invalid comparator '!='/,
      "prompt = 'a'": /Invalid prompts filter value 'a'/,
      "issue.x = 'a'": /Invalid issue key 'x'/,
      "status = 'OK' OR status = 'x'": /Invalid clause\(s\) in filter string: 'OR'/,
      "timestamp > 1.5": /./,
      "name RLIKE '['": /a class is not closed/,
      "name RLIKE '(a*)*b\\1'": /./,
      "experiment_id = '1'": /Invalid attribute key 'experiment_id'/,
    };
    for (const [filter, message] of Object.entries(refused))
      await expect(find(face, filter), filter).rejects.toThrow(message);
    await expect(find(face, "", { order_by: ["span.name"] })).rejects.toThrow(/./);
    await expect(find(face, "", { order_by: ["timestamp", "timestamp_ms"] })).rejects.toThrow(/duplicate fields/);
    await expect(find(face, "", { max_results: 501 })).rejects.toThrow(/max_results/);
    await expect(find(face, "", { max_results: 0 })).rejects.toThrow(/It must be a positive integer/);
    await expect(find(face, "", { page_token: "xx" })).rejects.toThrow("Invalid page token, could not base64-decode");
  });

  test("order is by columns, tags and metadata; what has none comes last", async () => {
    const face = await threeTraces(database);
    const by = (...order_by: string[]) => find(face, "", { order_by });
    expect(await by("timestamp_ms ASC")).toBe("bad slow fine");
    expect(await by("execution_time DESC")).toBe("slow bad fine");
    expect(await by("execution_time")).toBe("bad slow fine");
    expect(await by("tags.team")).toBe("slow bad fine");
    expect(await by("metadata.who DESC")).toBe("slow fine bad");
    expect(await by("name")).toBe("bad fine slow");
    expect(await by("status ASC", "request_id DESC")).toBe("bad fine slow");
  });

  test("pages follow one another without a gap while new traces come", async () => {
    const face = await threeTraces(database);
    for (const order_by of [[], ["timestamp_ms DESC"]]) {
      const seen: string[] = [];
      let token = "";
      do {
        const page = await face.call("POST", `${traces3}/search`, {
          locations: [{ mlflow_experiment: { experiment_id: "0" } }],
          max_results: 2,
          order_by,
          page_token: token,
        });
        seen.push(...page.body.traces.map((one: { trace_id: string }) => names[one.trace_id.at(-1) ?? ""]));
        token = page.body.next_page_token ?? "";
        if (order_by.length === 0)
          await startTrace(face, `tr-new-${seen.length}`, { request_time: "2027-01-01T00:00:00Z" });
      } while (token !== "");
      expect(seen.filter((name) => name !== undefined)).toEqual(["fine", "slow", "bad"]);
    }
  });
});
