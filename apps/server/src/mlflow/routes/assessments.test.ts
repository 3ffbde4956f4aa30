import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { startRawFace } from "../testing/raw-face.ts";
import { startTrace, traces3 } from "../testing/trace-requests.ts";

const human = { source_type: "HUMAN", source_id: "me" };

/** Bodies as the client of MLflow 3.17.2 sends them. */
describeOnBoth("assessments", await startPostgres(), (database) => {
  async function withTrace() {
    const face = await startRawFace(database);
    await startTrace(face, "tr-1");
    const path = `${traces3}/tr-1/assessments`;
    const create = async (assessment: object) => {
      const answer = await face.call("POST", path, { assessment });
      if (answer.status !== 200) throw new Error(answer.body.message);
      return answer.body.assessment;
    };
    return { ...face, path, create };
  }

  test("a feedback is made, read, changed and deleted", async () => {
    const { call, path, create } = await withTrace();
    const made = await create({
      assessment_name: "correct",
      trace_id: "tr-1",
      source: human,
      create_time: "2026-11-25T22:31:28.760Z",
      last_update_time: "2026-11-25T22:31:28.760Z",
      feedback: { value: true },
      rationale: "r",
      metadata: { m: "1" },
      valid: true,
    });
    expect(made).toEqual({
      assessment_id: expect.stringMatching(/^a-[0-9a-f]{32}$/),
      assessment_name: "correct",
      trace_id: "tr-1",
      source: human,
      create_time: "2026-11-25T22:31:28.760Z",
      last_update_time: "2026-11-25T22:31:28.760Z",
      feedback: { value: true },
      rationale: "r",
      metadata: { m: "1" },
      valid: true,
    });
    const own = `${path}/${made.assessment_id}`;
    expect((await call("GET", own)).body.assessment).toEqual(made);
    const changed = await call("PATCH", own, {
      assessment: { assessment_name: "right", feedback: { value: false }, metadata: { n: "2" } },
      update_mask: "assessmentName,feedback,metadata",
    });
    expect(changed.body.assessment).toEqual({
      ...made,
      assessment_name: "right",
      feedback: { value: false },
      metadata: { m: "1", n: "2" },
      last_update_time: expect.not.stringMatching(/^2026-11-25T22:31:28.760Z$/),
    });
    const { trace_info } = (await call("GET", `${traces3}/tr-1`)).body.trace;
    expect(trace_info.assessments).toEqual([changed.body.assessment]);
    for (let again = 0; again < 2; again += 1) expect((await call("DELETE", own)).body).toEqual({});
    expect(await call("GET", own)).toEqual({
      status: 404,
      body: {
        error_code: "RESOURCE_DOES_NOT_EXIST",
        message: `Assessment with ID '${made.assessment_id}' not found for trace 'tr-1'`,
      },
    });
  });

  test("one that replaces another makes it invalid, and valid again when it goes", async () => {
    const { call, path, create } = await withTrace();
    const first = await create({ assessment_name: "score", source: human, feedback: { value: 0.7 } });
    const second = await create({
      assessment_name: "score",
      source: human,
      feedback: { value: 0.9 },
      overrides: first.assessment_id,
    });
    const valid = async () => (await call("GET", `${path}/${first.assessment_id}`)).body.assessment.valid;
    expect([second.overrides, await valid()]).toEqual([first.assessment_id, false]);
    await call("DELETE", `${path}/${second.assessment_id}`);
    expect(await valid()).toBe(true);
    await expect(
      create({ assessment_name: "score", source: human, feedback: { value: 1 }, overrides: "nope" }),
    ).rejects.toThrow("Assessment with ID 'nope' not found for trace 'tr-1'");
  });

  test("expectations, errors and issues come back as they were sent", async () => {
    const { create } = await withTrace();
    const serialized = { serialized_value: { value: '{"a": [1]}', serialization_format: "JSON_FORMAT" } };
    const error = { error_code: "E", error_message: "m", stack_trace: "s" };
    for (const body of [
      { expectation: serialized },
      { expectation: { value: "x" } },
      { feedback: { value: null, error } },
      { feedback: { value: { nested: [1, "two", { three: null }] } } },
      { issue: { issue_name: "slow" } },
    ]) {
      expect(await create({ assessment_name: "a", source: human, span_id: "abc", ...body })).toMatchObject({
        ...body,
        span_id: "abc",
      });
    }
  });

  test.each([
    ["no assessment", "POST", "", {}, /Missing value for required parameter 'assessment'/],
    ["no kind", "POST", "", { assessment: { assessment_name: "a" } }, /Unknown assessment type: None/],
    ["a NUL", "POST", "", { assessment: { assessment_name: "a", feedback: { value: ["\0"] } } }, /NUL/],
    ["metadata that are no texts", "POST", "", { assessment: { feedback: {}, metadata: { a: 1 } } }, /no text/],
  ])("%s is refused", async (_what, method, suffix, body, message) => {
    const { call, path } = await withTrace();
    const answer = await call(method, path + suffix, body);
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringMatching(message)]);
  });

  test("what can not be changed is refused", async () => {
    const { call, path, create } = await withTrace();
    const { assessment_id } = await create({ assessment_name: "a", source: human, feedback: { value: 1 } });
    const patch = async (body: object) => (await call("PATCH", `${path}/${assessment_id}`, body)).body.message;
    expect(await patch({ assessment: { expectation: { value: 2 } }, update_mask: "expectation" })).toBe(
      "Cannot update expectation value on a Feedback assessment.",
    );
    expect(await patch({ assessment: { feedback: { value: 2 } } })).toMatch(/required parameter 'update_mask'/);
    expect((await call("GET", `${path}/${assessment_id}`)).body.assessment.feedback).toEqual({ value: 1 });
    expect((await call("GET", `${traces3}/nope/assessments/a`)).body.message).toBe(
      "Trace with request_id 'nope' not found",
    );
  });
});
