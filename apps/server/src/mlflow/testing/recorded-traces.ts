/** Requests as real clients sent them, byte by byte. */

/** Body of POST /v1/traces by the client of MLflow 3.17.2: a trace of three spans, `outer` > `mid` > `inner`. */
export const mlflowSpans = Buffer.from(
  "CuwHCmcKIgoWdGVsZW1ldHJ5LnNkay5sYW5ndWFnZRIICgZweXRob24KHgoSdGVsZW1ldHJ5LnNkay5uYW1lEggKBm1sZmxvdwohChV0ZWxlbWV0cnkuc2Rr" +
    "LnZlcnNpb24SCAoGMy4xNy4yEoAHEqgCChB3PuRTOo1NqJ5W8Y/Lh+cxEgjMgoNj+Ol9ZiIIbwRrNUvUGN4qBWlubmVyOcDYnhG4a+sYQSm2oxG4a+sYSj4K" +
    "FW1sZmxvdy50cmFjZVJlcXVlc3RJZBIlCiN0ci03NzNlZTQ1MzNhOGQ0ZGE4OWU1NmYxOGZjYjg3ZTczMUoYCg9tbGZsb3cuc3BhblR5cGUSBQoDTExNSg4K" +
    "BW1vZGVsEgUKA2dwdEoiChdtbGZsb3cuc3BhbkZ1bmN0aW9uTmFtZRIHCgVpbm5lckogChFtbGZsb3cuc3BhbklucHV0cxILMgkKBwoBeBICGBVKGAoSbWxm" +
    "bG93LnNwYW5PdXRwdXRzEgIYKkoZChNtbGZsb3cuc3BhbkxvZ0xldmVsEgIYFHoCGAESvQIKEHc+5FM6jU2onlbxj8uH5zESCG8EazVL1BjeIgiXbiuiR0Df" +
    "ZyoDbWlkOUMEmhG4a+sYQW8sxRG4a+sYSj4KFW1sZmxvdy50cmFjZVJlcXVlc3RJZBIlCiN0ci03NzNlZTQ1MzNhOGQ0ZGE4OWU1NmYxOGZjYjg3ZTczMUoa" +
    "Cg9tbGZsb3cuc3BhblR5cGUSBwoFQ0hBSU5KCAoBaxIDCgF2SgcKAW4SAhgDSiAKEW1sZmxvdy5zcGFuSW5wdXRzEgsyCQoHCgF4EgIYFUo2ChJtbGZsb3cu" +
    "c3Bhbk91dHB1dHMSIDIeChwKAXkSFyoVCgIYAQoJIQAAAAAAAARACgIQAQoAShkKE21sZmxvdy5zcGFuTG9nTGV2ZWwSAhgKWhYJAAOdEbhr6xgSAmV2GgcK" +
    "AWESAhgBegIYARKSAgoQdz7kUzqNTaieVvGPy4fnMRIIl24rokdA32cqBW91dGVyOf3UZgm4a+sYQQjTyBG4a+sYSj4KFW1sZmxvdy50cmFjZVJlcXVlc3RJ" +
    "ZBIlCiN0ci03NzNlZTQ1MzNhOGQ0ZGE4OWU1NmYxOGZjYjg3ZTczMUocCg9tbGZsb3cuc3BhblR5cGUSCQoHVU5LTk9XTkoiChdtbGZsb3cuc3BhbkZ1bmN0" +
    "aW9uTmFtZRIHCgVvdXRlckogChFtbGZsb3cuc3BhbklucHV0cxILMgkKBwoBeBICGBVKGAoSbWxmbG93LnNwYW5PdXRwdXRzEgIYKkoZChNtbGZsb3cuc3Bh" +
    "bkxvZ0xldmVsEgIYCnoCGAE=",
  "base64",
);
export const mlflowSpansTraceId = "tr-773ee4533a8d4da89e56f18fcb87e731";

/** Body of POST /api/3.0/mlflow/traces for the same trace, by the same client; the experiment's id is ours. */
export const startTraceBody = {
  trace: {
    trace_info: {
      trace_id: "tr-773ee4533a8d4da89e56f18fcb87e731",
      trace_location: {
        type: "MLFLOW_EXPERIMENT",
        mlflow_experiment: {
          experiment_id: "0",
        },
      },
      request_time: "2026-11-25T22:55:14.613Z",
      execution_duration: "0.140s",
      state: "OK",
      trace_metadata: {
        mymeta: "mv",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.branch": "",
        "mlflow.user": "root",
        "mlflow.traceInputs": '{"x": 21}',
        "mlflow.source.git.repoURL": "",
        "mlflow.source.git.commit": "",
        "mlflow.source.name": "small.py",
        "mlflow.trace.sizeStats":
          '{"total_size_bytes": 2409, "num_spans": 3, "max": 621, "p25": 540, "p50": 553, "p75": 587}',
        "mlflow.traceOutputs": "42",
        "mlflow.trace.sizeBytes": "2409",
        "mlflow.trace_schema.version": "3",
      },
      tags: {
        mytag: "tv",
        "mlflow.traceName": "outer",
      },
      request_preview: '{"x": 21}',
      response_preview: "42",
    },
  },
};

/**
 * Body, packed by gzip, that OpenTelemetry's exporter for Python (opentelemetry-exporter-otlp-proto-http 1.45.2) sent: a root that failed,
 * with a value of each type, and a span below it with a link and an event.
 */
export const openTelemetrySpansGzip = Buffer.from(
  "H4sIAEBnB2sC/31STU8TURSdj5a2F5T2gVAqmjJRExs7dkgBS2KskiqO7CQuMC4e09d27PS9ycwrtRCSLmDpWmL4A8adv8DENYl/wMS9Jm5MjBv0TTulsvEu" +
    "Jmfu57nnXfgQg+8yaDDDiUNahHtd3a82dQfTehvXCYrDmNvlDUbhOqDzORS3CJqEC8wl9CwCC3DpfNoO8Xyb0aCToReX9EW4C1M+8XZsi+g29TmmAaiiG3Bt" +
    "eWWxVlgxqvlSsVTLFzHGeUysQh5Xa3eKRs0wCsVlyMDEsLxPASBuNYjVZG0OaZgcxoZzo6AaYmgMZIqUtIo+RmEMZI5kAx3JkIRfZG7mZO3Lwfq3hfmecYzi" +
    "709+SMIUbYjk3NjTykZlbbOglsoPSsunx29m75ef7PTB1myid7Deh0j1WCcTDpJfGpCUzlsKxUOkaRdB7TS6KAZRL5BqSVIlaVeUHcqSLEnobeQ/1ORc4lFl" +
    "M3vbwh4vKCVJyg04fXWP+8CcAvCJH6wfCCsU8POGmYRYW4gTejDFJoLxBueuLt6At32kpn+qwhf1MLcZSiwMqH6+F/g6DeaQM59UNlOgbtt1BOleaGWRplJS" +
    "R+Pp339Ck804KKyJlKRsTkPEsX2OJnIAKsg4+GyblyFiU+6jqVwKxPYwnj4dFW9AquXUHNbRfRfTx9Rti8wVWNrTWmI7cZ6+tpp9vqd5gptAWrCediurWUwc" +
    "JOWBq/HpneMwbf/FvnkFpsNu3MMW2cR1nRPcCsTwSHXrSE70Xh8OHjJBXlnEFSrQzFW4ePaj865L0ATAM+y0ScXzmJeZg9QoHtJCEVAoy9yE6VFIaGw1+4NR" +
    "CiZHDVazlEFm/t8uxLewS6rBbTzEjk924yiyzVgrrQyO4y+vbXcatQMAAA==",
  "base64",
);
export const openTelemetryTraceId = "tr-0af7651916cd43dd8448eb211c80319c";
