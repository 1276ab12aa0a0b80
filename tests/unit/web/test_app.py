"""Every page over real HTTP."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dbopt.sql.fingerprint import fingerprint
from dbopt.stats.samples import Samples, Session
from dbopt.trace.planbook import CapturedPlan
from tests.unit.trace.observations import count, pool, repeated, slow, transactions, worker
from tests.unit.web.served import SomeState, served

SECRET = "SELECT * FROM users WHERE email = 'topsecret' AND pin = 987654"
PLAN = CapturedPlan(
    fingerprint=0xAB, database="app", cost=1.5, shape="s", lines=("Seq Scan on users",),
    captured_at=1_700_000_000.0, duration_ms=1200.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def state() -> SomeState:
    made = SomeState()
    made.recorder.add([count(SECRET, (5000.0,)), count("SELECT 1", (1.0,) * 9)])
    made.slow.add([slow(SECRET), slow("SELECT 1")])
    made.workers.observed(0, worker(100, pool(sv_idle=1, xact_count=3)))
    made.plans.kept[PLAN.fingerprint] = PLAN
    made.guard.log.add((fingerprint(SECRET), "app", "alice", "web", "", "cost", "refused"), 2)
    return made


@pytest.fixture(scope="module")
def client(state: SomeState) -> Iterator[httpx.Client]:
    with served(state) as url, httpx.Client(base_url=url) as made:
        yield made


@pytest.fixture
def fresh() -> SomeState:
    made = SomeState()
    made.slow.add([slow("SELECT early")])
    return made


@pytest.fixture
def asking(fresh: SomeState) -> Iterator[httpx.Client]:
    with served(fresh) as url, httpx.Client(base_url=url) as made:
        yield made


def test_index(client: httpx.Client) -> None:
    answer = client.get("/")
    assert "<h1>dbopt 1.2.3</h1>" in answer.text
    assert "127.0.0.1:6432" in answer.text
    for link in re.findall(r'href="([^"]+)"', answer.text):
        assert 200 == client.get(link.replace("&amp;", "&")).status_code
    assert "<script" not in answer.text


def test_metrics(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name.startswith("dbopt_pool_")
    }
    assert 3 == found["dbopt_pool_transactions_total"]
    assert 1 == found["dbopt_pool_servers_idle"]
    assert "process_resident_memory_bytes" in answer.text
    openmetrics = client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert openmetrics.text.endswith("# EOF\n")


def test_health(client: httpx.Client) -> None:
    assert (200, "ok") == (client.get("/healthz").status_code, client.get("/healthz").text)
    answer = client.get("/readyz")
    assert (200, {"ready": True, "reason": ""}) == (answer.status_code, answer.json())


def test_not_ready_says_why() -> None:
    with served(SomeState()) as url:
        answer = httpx.get(f"{url}/readyz")
    assert 503 == answer.status_code
    assert {"ready": False, "reason": "No pool is open yet."} == answer.json()


def test_status(client: httpx.Client) -> None:
    answer = client.get("/status").json()
    assert ("1.2.3", 10) == (answer["version"], answer["totals"]["calls"])


def test_statements(client: httpx.Client) -> None:
    by_total = client.get("/statements").json()
    assert [1, 9] == [one["calls"] for one in by_total]
    by_calls = client.get("/statements", params={"order": "calls", "limit": 1}).json()
    assert [9] == [one["calls"] for one in by_calls]


def test_slow(client: httpx.Client) -> None:
    assert ["SELECT $1"] == [one["query"] for one in client.get("/slow?limit=1").json()]


def test_statements_by_who_ran_them(client: httpx.Client) -> None:
    (alice,) = client.get("/statements?by=user").json()
    assert ("alice", 2, 10) == (alice["user"], alice["statements"], alice["calls"])
    assert 2 == len(client.get("/statements?user=alice&route=").json())
    assert [] == client.get("/statements?user=bob").json()


def test_slow_by_time_and_by_who(fresh: SomeState, asking: httpx.Client) -> None:
    fresh.slow.add([slow("SELECT late", started=1_800_000_000.0, route="/r", sqlstate="57014")])
    late = ["SELECT late"]
    for query in ("since=2027-01-15T00:00", "route=/r", "errors=1", "limit=1", "user=alice&limit=1",
                  "since=2027-01-15T01:00%2B01:00"):  # fmt: skip
        assert late == [one["query"] for one in asking.get(f"/slow?{query}").json()]
    number = asking.get("/slow?limit=1").json()[0]["fingerprint"]
    assert late == [one["query"] for one in asking.get(f"/slow?fingerprint={number}").json()]
    assert late != [one["query"] for one in asking.get("/slow?until=2027-01-15T00:00").json()]
    assert 2 == len(asking.get("/slow?order=duration").json())


def test_transactions(fresh: SomeState, asking: httpx.Client) -> None:
    fresh.transactions.add([transactions(route="/cart")], [repeated(route="/cart")])
    shown = asking.get("/transactions?by=route").json()
    assert (1, ["/cart"], [30]) == (
        shown["totals"]["transactions"], [one["route"] for one in shown["transactions"]],
        [one["calls"] for one in shown["repeated"]],
    )  # fmt: skip
    assert [] == asking.get("/transactions?route=/home").json()["repeated"]


def test_activity(fresh: SomeState, asking: httpx.Client) -> None:
    assert {"sampled": False, "load": {}, "sessions": []} == asking.get("/activity").json()
    fresh.activity = Samples()
    fresh.activity.add([Session(7, "active", "Lock", "tuple", 0, "alice", "web", "app")], 1.0)
    shown = asking.get("/activity").json()
    assert (True, {"Lock": 1.0}, [(7, "Lock:tuple")]) == (
        shown["sampled"], shown["load"], [(one["pid"], one["wait"]) for one in shown["sessions"]],
    )  # fmt: skip


def test_plan(client: httpx.Client) -> None:
    answer = client.get("/plans/00000000000000ab")
    assert (200, ["Seq Scan on users"]) == (answer.status_code, answer.json()["lines"])
    assert 1 == len(answer.json()["plans"])


def test_guard(client: httpx.Client) -> None:
    shown = client.get("/guard?limit=1").json()
    assert ("observe", {"guard": "observe"}) == (shown["mode"], shown["modes"])
    assert [("SELECT * FROM users WHERE email = $1 AND pin = $2", "cost", 2)] == [
        (one["query"], one["rule"], one["calls"]) for one in shown["decisions"]
    ]
    assert [{"rule": "cost", "action": "refused", "calls": 2}] == shown["totals"]
    assert [] == shown["quarantine"]
    assert 100 == shown["rules"]["max_complexity"]


@pytest.mark.parametrize(
    ("path", "code", "error"),
    [
        ("/guard?limit=0", 400, "limit is a whole number from 1 to 1000."),
        ("/nothing", 404, "Not Found."),
        ("/plans/00000000000000ac", 404, "No plan of 00000000000000ac was taken."),
        ("/plans/xyz", 400, "A fingerprint is 16 hexadecimal digits."),
        ("/statements?limit=0", 400, "limit is a whole number from 1 to 1000."),
        ("/statements?limit=1001", 400, "limit is a whole number from 1 to 1000."),
        ("/statements?limit=99999999999", 400, "limit is a whole number from 1 to 1000."),
        ("/statements?limit=%D9%A3", 400, "limit is a whole number from 1 to 1000."),
        ("/statements?limit=", 400, "limit is a whole number from 1 to 1000."),
        ("/statements?order=colour", 400, "There is no such order of statements."),
        ("/statements?limit=1&limit=2", 400, "The query gives limit twice."),
        ("/statements?by=colour", 400, "There is no such dimension to sum by."),
        ("/statements?colour=red", 400, "The query has an unknown argument."),
        ("/statements?fingerprint=1", 400, "A fingerprint is 16 hexadecimal digits."),
        ("/slow?order=total", 400, "There is no such order of slow statements."),
        ("/slow?since=yesterday", 400, "since is a time in ISO 8601, such as 2026-03-01T09:00."),
        ("/transactions?order=rows", 400, "There is no such order of transactions."),
        ("/transactions?by=fingerprint", 400, "There is no such dimension to sum by."),
        ("/activity?limit=1", 400, "The query has an unknown argument."),
        ("/status?x=1", 400, "The query has an unknown argument."),
    ],
)
def test_errors_are_json(client: httpx.Client, path: str, code: int, error: str) -> None:
    answer = client.get(path)
    assert (code, error) == (answer.status_code, answer.json()["error"])
    assert {"error", "hint"} == set(answer.json())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/nothing"])
def test_nothing_can_be_changed(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (405, "GET, HEAD") == (answer.status_code, answer.headers["allow"])


def test_head(client: httpx.Client) -> None:
    answer = client.head("/metrics")
    assert (200, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize("path", ["/", "/metrics", "/nothing", "/statements?limit=0"])
def test_safe_headers_on_every_answer(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert "nosniff" == headers["x-content-type-options"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in headers


def test_no_literal_on_any_page(client: httpx.Client) -> None:
    for path in ("/", "/metrics", "/status", "/statements", "/slow", "/guard"):
        text = client.get(path).text
        assert "topsecret" not in text
        assert "987654" not in text


def test_another_sites_name_is_refused(client: httpx.Client) -> None:
    assert 421 == client.get("/statements", headers={"host": "evil.example"}).status_code
    assert 421 == client.get("/metrics", headers={"host": "127.0.0.1.evil.example"}).status_code
    assert 200 == client.get("/metrics", headers={"host": "localhost:1"}).status_code
    assert 200 == client.get("/metrics", headers={"host": "[::1]:8432"}).status_code


def test_without_a_host_it_is_refused(client: httpx.Client) -> None:
    port = urlsplit(str(client.base_url)).port
    assert port
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.sendall(b"GET /status HTTP/1.0\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 421 ")


def test_any_name_where_the_network_may_ask(state: SomeState) -> None:
    with served(state, named="0.0.0.0") as url:  # noqa: S104 - it listens on 127.0.0.1
        assert 200 == httpx.get(f"{url}/metrics", headers={"host": "db7:8432"}).status_code


class Broken(SomeState):
    async def unready(self) -> str:
        raise RuntimeError("topsecret")


def test_a_failure_inside_tells_nothing(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with served(Broken()) as url:
        answer = httpx.get(f"{url}/readyz")
    assert 500 == answer.status_code
    assert "This request failed inside dbopt." == answer.json()["error"]
    shown = json.dumps(answer.json()) + caplog.text + "".join(capfd.readouterr())
    assert "topsecret" not in shown
    assert "Traceback" not in shown
    assert "test_app.py" in shown


def test_the_checks_and_the_collection_are_shown_as_they_are(client: httpx.Client) -> None:
    (finding,) = client.get("/check").json()["findings"]
    assert {"rule": "fsync", "evidence": {"since": "2026-01-02 00:00:00+00:00"}} == finding
    assert {"leading": True, "collectors": []} == client.get("/collection").json()
