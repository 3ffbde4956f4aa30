"""Operators of Apache Airflow 3 that run a pipeline of Espalier; see docs/orchestrators.md.

Beside it, in the folder of the DAGs, lies espalier_run.py. The control plane's address and a token of an editor are an Airflow connection
(`espalier_default`): host, port, schema `http` or `https`, and the token as password.
"""

import datetime
import json
from collections.abc import Mapping, Sequence

import espalier_run
from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException


class EspalierStepOperator(BaseOperator):
    """Sees to it that one step of a pipeline's run is done; all the operators of a DAG run with equal arguments share that run.

    :param pipeline: name, or path in the project.
    :param step: a step of the pipeline.
    :param stack: the stack to run on; the control plane's own when it is left out.
    :param run_params: parameters of the pipeline; templates are rendered.
    :param from_dag_params: names of the DAG's `params` that are parameters of the pipeline too.
    :param key: tells runs of equal arguments in one DAG run apart.
    :param cancel_on_kill: cancel Espalier's run when the task is killed. Left out, the run goes on, and the task's next try finds it.
    :param patience_seconds: how long the control plane may be away.

    The task's value is the id of Espalier's run.
    """

    template_fields: Sequence[str] = ("pipeline", "step", "stack", "run_params", "key")
    template_fields_renderers = {"run_params": "json"}
    ui_color = "#dcefd8"

    def __init__(
        self,
        *,
        pipeline: str,
        step: str | None = None,
        stack: str | None = None,
        run_params: Mapping | None = None,
        from_dag_params: Sequence[str] = (),
        key: str = "",
        espalier_conn_id: str = "espalier_default",
        cancel_on_kill: bool = False,
        patience_seconds: float = espalier_run.PATIENCE_SECONDS,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.step = step
        self.stack = stack
        self.run_params = run_params
        self.from_dag_params = from_dag_params
        self.key = key
        self.espalier_conn_id = espalier_conn_id
        self.cancel_on_kill = cancel_on_kill
        self.patience_seconds = patience_seconds
        self._asked = None

    def execute(self, context):
        request, key, milliseconds = self._request(context)
        client = espalier_run.Client(*self._address(), patience_seconds=self.patience_seconds)
        self._asked = (client, request, key, milliseconds)
        try:
            run, state = espalier_run.bring_about(
                client, request, key, milliseconds, self.step, self.takes_up(context), lambda text: self.log.info("%s", text)
            )
        except (espalier_run.Failed, espalier_run.Unreachable) as error:
            raise AirflowException(str(error)) from error
        except espalier_run.Refused as error:
            # Asked again it would be refused again.
            raise AirflowFailException(str(error)) from error
        if state == "skipped":
            raise AirflowSkipException("Run %s skipped step %s" % (run, self.step))
        return run

    def takes_up(self, context):
        """Whether a run that has failed is resumed. The first try only tells: the step may have failed before its task began."""
        return context["ti"].try_number > 1

    def on_kill(self):
        if not self.cancel_on_kill or self._asked is None:
            return
        client, request, key, milliseconds = self._asked
        run, _ = espalier_run.newest(client, request, key, milliseconds)
        client.cancel(run["id"])

    def _request(self, context):
        dag_run = context["dag_run"]
        params = {name: context["params"][name] for name in self.from_dag_params}
        params.update(self.run_params or {})
        date = dag_run.logical_date
        when = date or dag_run.run_after
        request = {"pipeline": self.pipeline}
        if params:
            request["params"] = params
        if self.stack:
            request["stack"] = self.stack
        # A run that was started by hand or by an asset may have no date; it has none in Espalier then, but a day.
        request = espalier_run.dated(request, None if date is None else instant(date), instant(when)[:10])
        what = [context["dag"].dag_id, instant(date) if date is not None else dag_run.run_id, self.key, request]
        return request, json.dumps(what, sort_keys=True), int(when.timestamp() * 1000)

    def _address(self):
        connection = BaseHook.get_connection(self.espalier_conn_id)
        if not connection.host or not connection.password:
            raise AirflowFailException(
                "The connection %s needs Espalier's host and, as password, a token" % self.espalier_conn_id
            )
        if "://" in connection.host:
            return connection.host, connection.password
        port = ":%d" % connection.port if connection.port else ""
        return "%s://%s%s" % (connection.schema or "http", connection.host, port), connection.password


class EspalierRunOperator(EspalierStepOperator):
    """Sees to it that a pipeline's whole run is done.

    :param resumes: False: only tells how the run ended, which the steps' own tasks take up.
    """

    def __init__(self, *, resumes: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.resumes = resumes

    def takes_up(self, context):
        return self.resumes


def instant(date):
    """RFC 3339 in UTC, to the millisecond."""
    utc = date.astimezone(datetime.timezone.utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (utc.microsecond // 1000)
