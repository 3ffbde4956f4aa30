import mlflow
import pytest
from support import CLIENT_MAJOR, needs_mlflow_3, raises_mlflow

pytestmark = needs_mlflow_3


@mlflow.trace(name="answer", span_type="CHAIN", attributes={"team": "red"})
def answer(question):
    with mlflow.start_span("look up", span_type="RETRIEVER") as span:
        span.set_inputs({"question": question})
        if question == "fail":
            raise ValueError("no such thing")
        span.set_outputs([{"page_content": "é✓"}])
        span.add_event(mlflow.entities.SpanEvent("found", attributes={"count": 1}))
    return {"text": f"answer to {question}"}


def traced(question):
    if question == "fail":
        with pytest.raises(ValueError, match="no such thing"):
            answer(question)
    else:
        answer(question)
    trace_id = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    return trace_id


def test_a_trace_and_its_spans(experiment):
    trace = mlflow.get_trace(traced("why"))
    assert (trace.info.state, trace.info.experiment_id) == ("OK", experiment)
    assert trace.info.request_time > 1_600_000_000_000
    assert trace.info.execution_duration >= 0
    assert "why" in trace.info.request_preview
    assert "answer to why" in trace.info.response_preview
    root, child = sorted(trace.data.spans, key=lambda span: span.parent_id is not None)
    assert (root.name, root.span_type, root.inputs, root.outputs) == (
        "answer",
        "CHAIN",
        {"question": "why"},
        {"text": "answer to why"},
    )
    assert root.get_attribute("team") == "red"
    assert (child.name, child.parent_id, child.outputs) == ("look up", root.span_id, [{"page_content": "é✓"}])
    assert [event.name for event in child.events] == ["found"]


def test_a_trace_that_fails(experiment):
    trace = mlflow.get_trace(traced("fail"))
    assert trace.info.state == "ERROR"
    child = next(span for span in trace.data.spans if span.name == "look up")
    assert str(child.status.status_code).endswith("ERROR")
    assert child.events[0].name == "exception"


def test_tags_and_metadata(client, experiment):
    @mlflow.trace
    def work():
        mlflow.update_current_trace(tags={"team": "red"}, metadata={"mlflow.trace.session": "s-1"})

    work()
    trace_id = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    client.set_trace_tag(trace_id, "extra", "1")
    client.set_trace_tag(trace_id, "gone", "1")
    client.delete_trace_tag(trace_id, "gone")
    info = mlflow.get_trace(trace_id).info
    assert (info.tags["team"], info.tags["extra"]) == ("red", "1")
    assert "gone" not in info.tags
    assert info.trace_metadata["mlflow.trace.session"] == "s-1"


def ids(condition=None, **options):
    return [trace.info.trace_id for trace in mlflow.search_traces(return_type="list", filter_string=condition, **options)]


def test_search(client, experiment):
    good, bad, other = traced("one"), traced("fail"), traced("three")
    client.set_trace_tag(good, "kind", "gold")
    client.set_trace_tag(other, "kind", "lead")
    place = {"experiment_ids": [experiment]} if CLIENT_MAJOR < 3 else {"locations": [experiment]}
    assert set(ids(**place)) == {good, bad, other}
    assert ids(order_by=["timestamp_ms ASC"], **place) == [good, bad, other]
    assert ids("trace.status = 'ERROR'", **place) == [bad]
    assert set(ids("status = 'OK'", **place)) == {good, other}
    assert ids("tags.kind = 'gold'", **place) == [good]
    assert ids("tag.kind != 'gold' AND trace.status = 'OK'", **place) == [other]
    assert set(ids("trace.timestamp_ms > 0", **place)) == {good, bad, other}
    assert set(ids("name = 'answer'", **place)) == {good, bad, other}
    assert len(ids(max_results=2, **place)) == 2
    page = client.search_traces(locations=[experiment], max_results=2, order_by=["timestamp_ms DESC"])
    rest = client.search_traces(
        locations=[experiment], max_results=2, order_by=["timestamp_ms DESC"], page_token=page.token
    )
    assert [trace.info.trace_id for trace in [*page, *rest]] == [other, bad, good]
    with raises_mlflow("INVALID_PARAMETER_VALUE", ""):
        ids("shape = 'round'", **place)


def test_of_a_run(client, experiment):
    with mlflow.start_run() as started:
        inside = traced("inside")
    traced("outside")
    assert ids(locations=[experiment], run_id=started.info.run_id) == [inside]
    assert mlflow.get_trace(inside).info.trace_metadata["mlflow.sourceRun"] == started.info.run_id


def test_feedback_and_expectation(client, experiment):
    trace_id = traced("why")
    source = mlflow.entities.AssessmentSource(source_type="HUMAN", source_id="ada")
    judged = mlflow.log_feedback(
        trace_id=trace_id, name="good", value=True, rationale="because", source=source, metadata={"k": "v"}
    )
    expected = mlflow.log_expectation(trace_id=trace_id, name="words", value={"count": 3, "list": ["a"]}, source=source)
    found = {one.name: one for one in mlflow.get_trace(trace_id).info.assessments}
    assert (found["good"].value, found["good"].rationale, found["good"].source.source_id) == (True, "because", "ada")
    assert found["good"].metadata["k"] == "v"
    assert found["words"].value == {"count": 3, "list": ["a"]}
    assert mlflow.get_assessment(trace_id, judged.assessment_id).value is True
    mlflow.update_assessment(
        trace_id, judged.assessment_id, mlflow.entities.Feedback(name="good", value=False, source=source)
    )
    assert mlflow.get_assessment(trace_id, judged.assessment_id).value is False
    mlflow.override_feedback(trace_id=trace_id, assessment_id=judged.assessment_id, value=True, source=source)
    assert [one.value for one in mlflow.get_trace(trace_id).info.assessments if one.name == "good" and one.valid] == [True]
    mlflow.delete_assessment(trace_id, expected.assessment_id)
    assert "words" not in [one.name for one in mlflow.get_trace(trace_id).info.assessments]
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST|NOT_FOUND", ""):
        mlflow.get_assessment(trace_id, expected.assessment_id)


def test_found_by_feedback(client, experiment):
    good, bad = traced("one"), traced("two")
    for trace_id, value in ((good, "yes"), (bad, "no")):
        mlflow.log_feedback(trace_id=trace_id, name="verdict", value=value)
    assert ids("feedback.verdict = 'yes'", locations=[experiment]) == [good]


def test_deleted(client, experiment):
    first, second, third = traced("one"), traced("two"), traced("three")
    assert client.delete_traces(experiment, trace_ids=[first]) == 1
    assert set(ids(locations=[experiment])) == {second, third}
    latest = max(mlflow.get_trace(one).info.request_time for one in (second, third))
    assert client.delete_traces(experiment, max_timestamp_millis=latest + 1, max_traces=10) == 2
    assert ids(locations=[experiment]) == []
    assert mlflow.get_trace(first) is None


def test_a_batch_of_many(experiment):
    for index in range(60):
        answer(f"q{index}")
    mlflow.flush_trace_async_logging()
    assert len(ids(locations=[experiment])) == 60
