"""What a running service says of itself, to whom, and while something is wrong."""

import time
from pathlib import Path

import httpx
import pytest

from ..service.heartbeat_receiver import PATH, receiving
from .service import Fleet, Service, figures_of, fleet_in, now_ms, rows_at

Running = tuple[Service, Fleet]
PROXIED = {"X_Forwarded_For": "203.0.113.9"}


def test_healthz_answers_everybody(running: Running) -> None:
    answer = running[0].get("/healthz", **PROXIED)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_readyz_names_what_the_service_stands_on(running: Running) -> None:
    answer = running[0].get("/readyz")
    assert answer.status_code == 200
    names = ("log", "scorer", "database", "lake", "published")
    assert answer.json() == {"ready": True, "role": "all", "checks": dict.fromkeys(names, "ok")}


def test_metrics_count_rows_by_what_became_of_them(running: Running) -> None:
    service, fleet = running
    before = figures_of(service.get("/metrics").text)
    at = now_ms()
    rows = rows_at(at, ["pump-1", "pump-2"]) + rows_at(at, ["pump-3"], pressure=99.0)
    service.send(fleet.tokens["write"], rows)
    service.send(fleet.tokens["write"], rows[:1])
    after = figures_of(service.get("/metrics").text)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("faultwatch_rows_accepted_total") == 2
    assert grown("faultwatch_rows_duplicate_total") == 1
    assert grown('faultwatch_rows_rejected_total{reason="out_of_range"}') == 1
    assert grown('faultwatch_requests_total{status="200"}') == 2
    assert grown("faultwatch_request_seconds_count") == 2
    for stage in ("parse", "check", "log"):
        assert grown(f'faultwatch_stage_seconds_total{{stage="{stage}"}}') > 0
    assert service.until(lambda: scored(service) == accepted(service) and {"all": "scored"})
    assert figures_of(service.get("/metrics").text)['faultwatch_devices{status="learning"}'] == 3


def scored(service: Service) -> float:
    return figures_of(service.get("/metrics").text)["faultwatch_rows_scored_total"]


def accepted(service: Service) -> float:
    return figures_of(service.get("/metrics").text)["faultwatch_rows_accepted_total"]


def test_requests_that_are_refused_are_counted_by_status(running: Running) -> None:
    service, fleet = running
    token = {"Authorization": f"Bearer {fleet.tokens['write']}"}
    assert httpx.post(f"{service.url}/api/v1/readings", content="{", headers=token).status_code == 400
    assert httpx.post(f"{service.url}/api/v1/readings", content="{}").status_code == 401
    service.get("/nowhere")
    figures = figures_of(service.get("/metrics").text)
    assert figures['faultwatch_requests_total{status="400"}'] >= 1
    assert figures['faultwatch_requests_total{status="401"}'] >= 1
    assert figures['faultwatch_page_requests_total{status="404"}'] >= 1


def test_event_streams_are_counted_while_they_are_open(running: Running) -> None:
    service, fleet = running
    token = {"Authorization": f"Bearer {fleet.tokens['read']}"}

    def streams() -> float:
        return figures_of(service.get("/metrics").text)["faultwatch_event_streams"]

    with httpx.stream("GET", f"{service.url}/api/v1/events", headers=token, timeout=20) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry")
        assert streams() == 1
    assert service.until(lambda: streams() == 0 and {"streams": "closed"})


def test_figures_are_for_this_machine_or_a_token_made_for_them(running: Running) -> None:
    service, fleet = running
    assert service.get("/metrics").status_code == 200
    refused = service.get("/metrics", **PROXIED)
    assert refused.status_code == 401
    assert "faultwatch tokens create --scope metrics" in refused.json()["detail"].replace("`", "")
    assert refused.headers["www-authenticate"] == "Bearer"
    for scope, status in (("metrics", 200), ("read", 401), ("write", 401)):
        token = {"Authorization": f"Bearer {fleet.tokens[scope]}"}
        assert service.get("/metrics", **PROXIED, **token).status_code == status, scope
    assert service.get("/metrics", **PROXIED, Authorization="Bearer fw_unknown").status_code == 401


@pytest.mark.parametrize("header", ["Forwarded", "Via", "X_Real_IP", "X_Forwarded_Proto", "X_Forwarded_Host"])
def test_what_any_proxy_brought_is_not_of_this_machine(running: Running, header: str) -> None:
    assert running[0].get("/metrics", **{header: "127.0.0.1"}).status_code == 401


def test_a_token_for_figures_opens_nothing_else(running: Running) -> None:
    service, fleet = running
    token = {"Authorization": f"Bearer {fleet.tokens['metrics']}"}
    assert service.get("/api/v1/fleet", **token).status_code == 401
    body = {"type": "pump", "rows": rows_at(now_ms(), ["pump-9"])}
    assert httpx.post(f"{service.url}/api/v1/readings", json=body, headers=token).status_code == 401


def test_only_asking_is_answered(running: Running) -> None:
    answer = httpx.post(f"{running[0].url}/metrics")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_the_page_is_what_prometheus_reads(running: Running) -> None:
    answer = running[0].get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.startswith("# HELP faultwatch_info ")


def test_a_full_disk_and_a_lost_database_show_in_words_and_go_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fleet = fleet_in(data)
    with Service(data) as service:
        service.until_ready()

        def told(name: str, **headers: str) -> str:
            answer = service.get("/readyz", **headers)
            return str(answer.json()["checks"][name]) if answer.status_code == 503 else ""

        service.send(fleet.tokens["write"], rows_at(now_ms() - 180_000, ["pump-1"]))
        with service.full_disk():
            assert service.try_to_send(fleet.tokens["write"], rows_at(now_ms(), ["pump-1"])) == 503
            assert "free space on that disk" in told("log")
            assert service.try_to_send(fleet.tokens["write"], rows_at(now_ms(), ["pump-2"])) == 503
            assert str(data / "faultwatch.db") in told("database")
            assert told("log", **PROXIED) == "fail", "folders of this machine are not for strangers"
            assert figures_of(service.get("/metrics").text)['faultwatch_check{check="log"}'] == 0
        service.send(fleet.tokens["write"], rows_at(now_ms(), ["pump-2"]))
        service.until_ready()

        database = data / "faultwatch.db"
        away = database.rename(data / "away.db")
        assert "there is no database at" in told("database") and "from a backup" in told("database")
        assert service.get("/metrics").status_code == 200, "figures are there without the database"
        away.rename(database)
        service.until_ready()
    assert not any(token in service.log for token in fleet.tokens.values())


def test_loop_and_pages_apart_each_say_how_they_are(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fleet = fleet_in(data)
    with Service(data, "--role", "web") as web:
        answer = web.get("/readyz")
        assert answer.status_code == 503
        assert "start `faultwatch serve --role loop`" in answer.json()["checks"]["published"]
        with Service(data, "--role", "loop") as loop:
            loop.until_ready()
            assert list(loop.get("/readyz").json()["checks"]) == ["log", "scorer", "database", "lake"]
            assert loop.get("/healthz").status_code == 200
            loop.send(fleet.tokens["write"], rows_at(now_ms(), ["pump-1"]))
            figures = figures_of(loop.get("/metrics").text)
            assert figures["faultwatch_rows_accepted_total"] == 1
            assert figures['faultwatch_info{role="loop",version="0.1.0"}'] == 1
            web.until_ready()
            assert list(web.get("/readyz").json()["checks"]) == ["database", "published"]
            assert figures_of(web.get("/metrics").text)["faultwatch_published_age_seconds"] < 30
            assert loop.get("/").status_code == 404
        began = time.monotonic()
        assert web.get("/healthz").status_code == 200
        assert time.monotonic() - began < 5


def test_a_heartbeat_is_sent_once_the_loop_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fleet_in(data)
    with receiving() as receiver, Service(data, env={"FAULTWATCH_HEARTBEAT_URL": receiver.url}) as service:
        service.until(lambda: receiver.asked and {"asked": receiver.asked})
        service.until(lambda: sent(service) == 1 and {"sent": 1})
    assert receiver.asked == [PATH]
    assert PATH not in service.log


def sent(service: Service) -> float:
    return figures_of(service.get("/metrics").text)['faultwatch_heartbeats_total{outcome="sent"}']
