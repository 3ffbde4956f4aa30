/** Requests that MLflow refuses, and how. `$run` and `$dead` (deleted) are runs, `$exp` and `$gone` (deleted) experiments. */
export interface Refused {
  path: string;
  /** A list of pairs: a GET, and its query. */
  body: object;
  /** A part of the message. */
  message: string;
  status: number;
  code: string;
}

const refused =
  (status: number, code: string) =>
  (path: string, body: object, message: string): Refused => ({ path, body, message, status, code });
const invalid = refused(400, "INVALID_PARAMETER_VALUE");
const absent = refused(404, "RESOURCE_DOES_NOT_EXIST");
const exists = refused(400, "RESOURCE_ALREADY_EXISTS");

export const characters = (length: number): string => "k".repeat(length);
export const many = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => ({ key: `${prefix}${index}`, value: "1" }));
export const metric = { key: "m", value: 1, timestamp: 1, step: 0 };
export const points = (count: number) => Array.from({ length: count }, (_, index) => ({ ...metric, key: `m${index}` }));

const run_id = "$run";
const allowed =
  "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).";
const inactive = "must be in the 'active' state. Current state is deleted.";
const missing = (name: string) =>
  `Missing value for required parameter '${name}'. See the API docs for more information about request parameters.`;
const tooLong = (name: string, limit: number) => `'${name}' exceeds the maximum length of ${limit} characters`;
const tooMany = (what: string, limit: number, count: number) =>
  `A batch logging request can contain at most ${limit} ${what}. Got ${count} ${what}. Please split up ${what} across multiple requests and try again.`;

const ofMetrics: [object, string][] = [
  [{ run_id: undefined }, missing("run_id")],
  [{ key: "" }, missing("key")],
  [{ value: undefined }, missing("value")],
  [{ timestamp: undefined }, missing("timestamp")],
  [{ value: "x" }, `Invalid value "x" for parameter 'value' supplied:  Hint: Value was of type 'str'.`],
  [{ value: true }, "Invalid value true for parameter 'value' supplied:"],
  [
    { timestamp: -1 },
    "Invalid value -1 for parameter 'timestamp' supplied: metric 'm' (value=1.0). Timestamp must be a nonnegative long (64-bit integer)",
  ],
  [{ timestamp: 1.5 }, "Invalid value 1.5 for parameter 'timestamp'"],
  [{ step: "9223372036854775808" }, "for parameter 'step'"],
  [{ key: characters(251) }, tooLong("Metric name", 250)],
  [{ key: "a$b" }, `Invalid value "a$b" for parameter 'name' supplied: ${allowed}`],
  [{ key: "a/../b" }, "This name would resolve to 'b'"],
  [{ key: "../b" }, "This name would resolve to '../b'"],
  [{ key: "/b" }, "This name would resolve to '/b'"],
  [{ key: "a//b/" }, "This name would resolve to 'a/b'"],
  [{ key: "." }, "This name would resolve to '.'"],
  [{ key: "a\0b" }, "Names may only contain"],
  [{ key: 7 }, "Invalid value 7 for parameter 'key'"],
  [{ run_id: "$dead" }, inactive],
];

const ofBatches: [object, string][] = [
  [{ metrics: points(1001) }, tooMany("metrics", 1000, 1001)],
  [{ params: many(101, "p") }, tooMany("params", 100, 101)],
  [{ tags: many(101, "t") }, tooMany("tags", 100, 101)],
  [{ metrics: points(1000), tags: many(1, "t") }, tooMany("metrics, params, and tags", 1000, 1001)],
  [
    { params: [...many(1, "d"), ...many(1, "d")] },
    "Duplicate parameter keys have been submitted: ['d0']. Please ensure the request contains only one param value per param key.",
  ],
  [
    {
      params: [
        { key: "known", value: "2" },
        { key: "other", value: "1" },
      ],
    },
    "Changing param values is not allowed. Params were already logged='[{'key': 'known', 'old_value': '1', 'new_value': '2'}]' for run ID=",
  ],
  [{ metrics: [{ ...metric, key: "" }] }, missing("metrics[0].key")],
  [{ metrics: [metric, { key: "a", value: 1 }] }, missing("metrics[1].timestamp")],
  [{ metrics: [{ ...metric, key: "a$" }] }, "for parameter 'metrics[0].name' supplied"],
  [{ params: [{ value: "1" }] }, missing("params[0].key")],
  [{ tags: [{ key: characters(251), value: "1" }] }, tooLong("tags[0].key", 250)],
  [{ metrics: [5] }, "metrics[0]"],
  [{ metrics: {} }, "metrics"],
  [{ run_id: "a b" }, `Invalid value "a b" for parameter 'run_id' supplied.`],
  [{ run_id: "$dead", metrics: [metric] }, inactive],
];

const dataset = { name: "d", digest: "1", source_type: "local", source: "s" };
const ofDatasets: [object, string][] = [
  [{ dataset: { ...dataset, name: characters(501) } }, tooLong("name", 500)],
  [{ dataset: { ...dataset, digest: characters(37) } }, tooLong("digest", 36)],
  [{ dataset: { ...dataset, source: characters(65_536) } }, tooLong("source", 65_535)],
  [{ dataset: { ...dataset, schema: characters(1_048_576) } }, tooLong("schema", 1_048_575)],
  [{ dataset, tags: [{ key: characters(256), value: "v" }] }, tooLong("key", 255)],
  [{ dataset, tags: [{ key: "k", value: characters(501) }] }, tooLong("value", 500)],
  [{}, "Dataset cannot be None"],
];

const badLocations = [
  ..."/etc file:///etc s3://bucket/a mlflow-artifacts:/../a mlflow-artifacts:/a/%2e%2e/b mlflow-artifacts://host/a".split(
    " ",
  ),
  ..."mlflow-artifacts:/a?b mlflow-artifacts:/a#b mlflow-artifacts:/a;b mlflow-artifacts:/ mlflow-artifacts:/a//b runs:/a/b".split(
    " ",
  ),
];

export const refusedRequests: Refused[] = [
  ...ofMetrics.map(([changes, message]) => invalid("runs/log-metric", { ...metric, run_id, ...changes }, message)),
  ...ofBatches.map(([body, message]) => invalid("runs/log-batch", { run_id, ...body }, message)),
  ...ofDatasets.map(([one, message]) => invalid("runs/log-inputs", { run_id, datasets: [one] }, message)),
  ...badLocations.map((artifact_location) =>
    invalid("experiments/create", { name: "x", artifact_location }, "Invalid 'artifact_location'"),
  ),

  invalid("runs/log-parameter", { run_id, key: characters(251), value: "1" }, tooLong("Param key", 250)),
  invalid(
    "runs/log-parameter",
    { run_id, key: "b$", value: "1" },
    `Invalid value "b$" for parameter 'key' supplied: ${allowed}`,
  ),
  invalid(
    "runs/log-parameter",
    { run_id, key: "n", value: 5 },
    "Invalid value 5 for parameter 'value' supplied:  Hint: Value was of type 'int'.",
  ),
  invalid(
    "runs/log-parameter",
    { run_id, key: "known", value: "2" },
    "Changing param values is not allowed. Param with key='known' was already logged with value='1' for run ID='",
  ),
  invalid("runs/log-parameter", { run_id: "$dead", key: "n", value: "1" }, inactive),
  invalid("runs/set-tag", { run_id, key: characters(251), value: "1" }, tooLong("key", 250)),
  invalid("runs/set-tag", { run_id, key: "", value: "1" }, missing("key")),
  invalid("runs/set-tag", { run_id, key: "nul", value: "a\0b" }, "NUL character"),
  invalid("runs/set-tag", { run_id: "$dead", key: "t", value: "1" }, inactive),
  invalid("runs/delete-tag", { run_id: "$dead", key: "t" }, inactive),
  invalid("runs/update", { run_id: "$dead", run_name: "n" }, inactive),
  invalid("runs/update", { run_id, status: "BOGUS" }, "for parameter 'status'"),
  invalid("runs/create", { experiment_id: "$gone" }, inactive),
  invalid(
    "runs/create",
    { experiment_id: "abc" },
    "Invalid experiment ID 'abc'. Experiment ID must be a valid integer.",
  ),
  invalid(
    "runs/create",
    { experiment_id: "$exp", run_name: "a", tags: [{ key: "mlflow.runName", value: "b" }] },
    "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='a', mlflow.runName='b').",
  ),
  invalid("runs/log-inputs", { run_id: "$dead" }, inactive),
  invalid("runs/outputs", { run_id }, missing("models")),
  invalid("runs/log-model", { run_id, model_json: "{" }, "Malformed model info. \n { \n is not a valid JSON."),
  invalid("runs/log-model", { run_id, model_json: "{}" }, "Model json is missing mandatory fields: {"),
  absent("runs/log-metric", { ...metric, run_id: "nope" }, "Run with id=nope not found"),
  absent("runs/update", { run_id: "nope", status: "FAILED" }, "Run with id=nope not found"),
  absent("runs/delete", { run_id: "nope" }, "Run with id=nope not found"),
  absent("runs/restore", { run_id: "nope" }, "Run with id=nope not found"),
  absent("runs/delete-tag", { run_id, key: "absent" }, "No tag with name: absent in run with id "),
  absent("runs/create", { experiment_id: "99999" }, "No Experiment with id=99999 exists"),

  invalid("experiments/create", { name: "" }, missing("name")),
  invalid("experiments/create", { name: characters(501) }, tooLong("name", 500)),
  invalid(
    "experiments/create",
    { name: "x", tags: [{ key: "a$", value: "b" }] },
    `Invalid value "a$" for parameter 'key' supplied: ${allowed}`,
  ),
  invalid("experiments/create", { name: "x", tags: [{ key: characters(251), value: "b" }] }, tooLong("key", 250)),
  invalid(
    "experiments/create",
    { name: "x", tags: [{ key: "a", value: characters(20_001) }] },
    tooLong("value", 20_000),
  ),
  invalid(
    "experiments/create",
    { name: "x", artifact_location: `mlflow-artifacts:/${characters(2048)}` },
    "Invalid artifact path length.",
  ),
  invalid("experiments/update", { experiment_id: "$exp" }, missing("new_name")),
  invalid("experiments/set-experiment-tag", { experiment_id: "$gone", key: "k", value: "v" }, inactive),
  invalid(
    "experiments/set-experiment-tag",
    { experiment_id: "$exp", key: "k", value: characters(20_001) },
    tooLong("value", 20_000),
  ),
  exists("experiments/create", { name: "Default" }, "Experiment(name=Default) already exists."),
  exists(
    "experiments/update",
    { experiment_id: "$exp", new_name: "Default" },
    "Experiment(name=Default) already exists.",
  ),
  absent("experiments/delete", { experiment_id: "$gone" }, "No Experiment with id="),
  absent("experiments/restore", { experiment_id: "$exp" }, "No Experiment with id="),
  absent(
    "experiments/delete-experiment-tag",
    { experiment_id: "$exp", key: "absent" },
    "No tag with name: absent in experiment with id ",
  ),
  refused(400, "INVALID_STATE")(
    "experiments/update",
    { experiment_id: "$gone", new_name: "q" },
    "Cannot rename a non-active experiment.",
  ),

  absent("runs/get", [["run_id", "nope"]], "Run with id=nope not found"),
  invalid("runs/get", [], missing("run_id")),
  absent("experiments/get", [["experiment_id", "99999"]], "No Experiment with id=99999 exists"),
  invalid("experiments/get", [["experiment_id", "1_0"]], "Invalid experiment ID '1_0'."),
  absent("experiments/get-by-name", [["experiment_name", "absent"]], "Could not find experiment with name 'absent'"),
  invalid("metrics/get-history", [["run_id", "$run"]], missing("metric_key")),
  ...(
    [
      [
        "get-history",
        { max_results: "0" },
        "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer.",
      ],
      ["get-history", { page_token: "zzz" }, "The page token is not one"],
      ["get-history-bulk", { run_id: undefined }, "GetMetricHistoryBulk request must specify at least one run_id."],
      ["get-history-bulk", { metric_key: undefined }, "GetMetricHistoryBulk request must specify a metric_key."],
      ["get-history-bulk-interval", {}, missing("run_ids")],
      [
        "get-history-bulk-interval",
        { run_ids: "$run", start_step: "1" },
        "If either start step or end step are specified, both must be specified.",
      ],
      [
        "get-history-bulk-interval",
        { run_ids: "$run", start_step: "2", end_step: "1" },
        "end_step must be greater than start_step. Found start_step=2 and end_step=1.",
      ],
      [
        "get-history-bulk-interval",
        { run_ids: "$run", max_results: "2501" },
        "max_results must be between 1 and 2500.",
      ],
    ] satisfies [string, object, string][]
  ).map(([name, query, message]) =>
    invalid(
      `metrics/${name}`,
      Object.entries({ run_id, metric_key: "m", ...query }).filter(([, value]) => value !== undefined),
      message,
    ),
  ),
  invalid(
    "metrics/get-history-bulk",
    [["metric_key", "m"], ...Array.from({ length: 101 }, () => ["run_id", "r"])],
    "GetMetricHistoryBulk request cannot specify more than 100 run_ids. Received 101 run_ids.",
  ),
];
