"""Traces as MLflow 2 logs them: the record by its first protocol, the spans as a file among the artifacts."""

import mlflow
import pytest
from mlflow.entities import SpanEvent
from support import CLIENT_MAJOR, raises_mlflow

pytestmark = pytest.mark.skipif(CLIENT_MAJOR > 2, reason="test_traces.py is for this client")

DAY_NS = 86_400_000_000_000
START_NS = 1_700_000_000_000_000_000


@mlflow.trace(name="answer", span_type="CHAIN", attributes={"team": "red"})
def answer(question):
    mlflow.update_current_trace(tags={"team": "red"})
    with mlflow.start_span("look up", span_type="RETRIEVER") as span:
        span.set_inputs({"question": question})
        if question == "fail":
            raise ValueError("no such thing")
        span.set_outputs([{"page_content": "é✓"}])
        span.add_event(SpanEvent("found", attributes={"count": 1}))
    return {"text": f"answer to {question}"}


def trace_of(client, experiment, name, day=0, duration_ms=5, status="OK", tags=None):
    """The id of a trace that began on that day and took so long."""
    start_ns = START_NS + day * DAY_NS
    root = client.start_trace(name, experiment_id=experiment, tags=tags, start_time_ns=start_ns)
    client.end_trace(root.request_id, status=status, end_time_ns=start_ns + duration_ms * 1_000_000)
    return root.request_id


def ids(experiment, condition=None, **options):
    found = mlflow.search_traces([experiment], filter_string=condition, return_type="list", **options)
    return [trace.info.request_id for trace in found]


def test_a_decorated_function_and_a_span_in_it(experiment):
    answer("why")
    trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
    assert (trace.info.status, trace.info.experiment_id) == ("OK", experiment)
    assert trace.info.timestamp_ms > 1_600_000_000_000
    assert trace.info.execution_time_ms >= 0
    assert (trace.info.tags["mlflow.traceName"], trace.info.tags["team"]) == ("answer", "red")
    assert "why" in trace.info.request_metadata["mlflow.traceInputs"]
    assert "answer to why" in trace.info.request_metadata["mlflow.traceOutputs"]
    root, child = sorted(trace.data.spans, key=lambda span: span.parent_id is not None)
    assert (root.name, root.span_type, root.inputs, root.outputs) == (
        "answer",
        "CHAIN",
        {"question": "why"},
        {"text": "answer to why"},
    )
    assert root.get_attribute("team") == "red"
    assert (child.name, child.parent_id, child.outputs) == ("look up", root.span_id, [{"page_content": "é✓"}])
    assert child.request_id == trace.info.request_id
    assert [(event.name, dict(event.attributes)) for event in child.events] == [("found", {"count": 1})]


def test_a_function_that_fails(experiment):
    with pytest.raises(ValueError, match="no such thing"):
        answer("fail")
    trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
    assert trace.info.status == "ERROR"
    child = next(span for span in trace.data.spans if span.name == "look up")
    assert child.status.status_code == "ERROR"
    assert child.events[0].name == "exception"


def test_a_span_that_is_the_trace(experiment):
    with mlflow.start_span("alone") as span:
        span.set_inputs([1, 2])
    trace = mlflow.get_trace(span.request_id)
    assert [(one.name, one.inputs, one.parent_id) for one in trace.data.spans] == [("alone", [1, 2], None)]


def test_started_and_ended_by_the_client(client, experiment):
    root = client.start_trace(
        "by hand", "AGENT", {"in": 1}, {"a": "b"}, {"team": "blue"}, experiment, start_time_ns=START_NS
    )
    trace_id = root.request_id
    child = client.start_span("part", trace_id, root.span_id, inputs={"x": [1.5, None]})
    client.end_span(trace_id, child.span_id, outputs="half")
    client.end_trace(trace_id, {"out": 2}, {"c": 3}, "ERROR", START_NS + 1_500_000_000)
    trace = client.get_trace(trace_id, display=False)
    assert (trace.info.status, trace.info.timestamp_ms, trace.info.execution_time_ms) == (
        "ERROR",
        START_NS // 1_000_000,
        1_500,
    )
    assert trace.info.tags["team"] == "blue"
    spans = {span.name: span for span in trace.data.spans}
    assert set(spans) == {"by hand", "part"}
    saved = spans["by hand"]
    assert (saved.span_type, saved.inputs, saved.outputs) == ("AGENT", {"in": 1}, {"out": 2})
    assert (saved.get_attribute("a"), saved.get_attribute("c")) == ("b", 3)
    assert (saved.start_time_ns, saved.end_time_ns) == (START_NS, START_NS + 1_500_000_000)
    assert (spans["part"].inputs, spans["part"].outputs) == ({"x": [1.5, None]}, "half")
    assert spans["part"].parent_id == saved.span_id
    with raises_mlflow("INVALID_PARAMETER_VALUE", "already finished"):
        client.end_trace(trace_id)


def test_a_trace_that_is_not_there(client):
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "not found"):
        client.get_trace("tr-0123456789abcdef0123456789abcdef", display=False)
    assert mlflow.get_trace("tr-0123456789abcdef0123456789abcdef") is None


def test_search(client, experiment):
    first = trace_of(client, experiment, "plan", 0, 30, tags={"kind": "gold"})
    second = trace_of(client, experiment, "act", 1, 10, "ERROR")
    third = trace_of(client, experiment, "act", 2, 20, tags={"kind": "lead"})
    assert ids(experiment) == [third, second, first]
    assert ids(experiment, order_by=["timestamp_ms ASC"]) == [first, second, third]
    assert ids(experiment, order_by=["execution_time_ms ASC"]) == [second, third, first]
    assert ids(experiment, order_by=["name ASC", "timestamp_ms DESC"]) == [third, second, first]
    oldest = {"order_by": ["timestamp_ms ASC"]}
    assert ids(experiment, "trace.status = 'ERROR'") == [second]
    assert ids(experiment, "status IN ('OK')", **oldest) == [first, third]
    assert ids(experiment, "name = 'act'", **oldest) == [second, third]
    assert ids(experiment, "tags.kind = 'gold'") == [first]
    assert ids(experiment, "tag.kind != 'gold' AND name = 'act'") == [third]
    assert ids(experiment, f"timestamp_ms > {START_NS // 1_000_000}", **oldest) == [second, third]
    assert ids(experiment, "execution_time_ms <= 20", **oldest) == [second, third]
    assert ids(experiment, f"request_id = '{second}'") == [second]
    assert ids(experiment, "name = 'none'") == []
    with raises_mlflow("INVALID_PARAMETER_VALUE"):
        ids(experiment, "shape = 'round'")


def test_pages_and_spans_of_a_search(client, experiment):
    made = [trace_of(client, experiment, f"t{day}", day) for day in range(5)]
    options = {"experiment_ids": [experiment], "max_results": 2, "order_by": ["timestamp_ms ASC"]}
    pages, token = [], None
    while True:
        page = client.search_traces(page_token=token, **options)
        pages.append([trace.info.request_id for trace in page])
        assert all([span.request_id for span in one.data.spans] == [one.info.request_id] for one in page)
        token = page.token
        if not token:
            break
    assert pages == [made[:2], made[2:4], made[4:]]
    assert [one.data.spans for one in client.search_traces(include_spans=False, **options)] == [[], []]


def test_search_as_a_table(experiment):
    answer("why")
    table = mlflow.search_traces([experiment], extract_fields=["answer.outputs.text", "look up.inputs"])
    assert table["answer.outputs.text"].tolist() == ["answer to why"]
    assert table["look up.inputs"].tolist() == [{"question": "why"}]


def test_of_a_run(experiment):
    with mlflow.start_run() as started:
        answer("inside")
    inside = mlflow.get_last_active_trace_id()
    answer("outside")
    assert ids(experiment, run_id=started.info.run_id) == [inside]
    assert ids(experiment, f"run_id = '{started.info.run_id}'") == [inside]
    assert mlflow.get_trace(inside).info.request_metadata["mlflow.sourceRun"] == started.info.run_id


def test_tags(client, experiment):
    trace_id = trace_of(client, experiment, "tagged", tags={"kind": "gold", "stays": "é✓"})
    client.set_trace_tag(trace_id, "kind", "lead")
    client.set_trace_tag(trace_id, "gone", "1")
    assert ids(experiment, "tags.gone = '1' AND tags.kind = 'lead'") == [trace_id]
    client.delete_trace_tag(trace_id, "gone")
    tags = client.get_trace(trace_id, display=False).info.tags
    assert (tags["kind"], tags["stays"], "gone" in tags) == ("lead", "é✓", False)
    assert ids(experiment, "tags.gone = '1'") == []
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST"):
        client.delete_trace_tag(trace_id, "gone")


def test_deleted(client, experiment):
    made = [trace_of(client, experiment, f"t{day}", day) for day in range(4)]
    assert client.delete_traces(experiment, request_ids=[made[1], "tr-none"]) == 1
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST"):
        client.get_trace(made[1], display=False)
    third_day = START_NS // 1_000_000 + 2 * 86_400_000
    # The oldest go first, and what began at the very time goes too.
    assert client.delete_traces(experiment, max_timestamp_millis=third_day, max_traces=1) == 1
    assert ids(experiment) == [made[3], made[2]]
    assert client.delete_traces(experiment, max_timestamp_millis=third_day) == 1
    assert ids(experiment) == [made[3]]
