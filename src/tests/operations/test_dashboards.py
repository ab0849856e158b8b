"""The rules and the dashboard speak of metrics that exist, in a language Prometheus understands."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...metrics import Metrics
from ..checkout import ROOT, run

DEPLOY = ROOT / "docs" / "deploy"
RULES = DEPLOY / "prometheus-rules.yml"
DASHBOARD = DEPLOY / "grafana-dashboard.json"
ENDINGS = {"histogram": ("_bucket", "_count", "_sum")}


def known() -> dict[str, tuple[str, ...]]:
    """Every sample's name with its labels."""
    return {
        f"{metric.name}{ending}": metric.labels
        for metric in Metrics().described()
        for ending in ENDINGS.get(metric.kind, ("",))
    }


def expressions() -> Iterator[str]:
    """What the panels of the dashboard ask."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def asked(text: str) -> Iterator[tuple[str, set[str]]]:
    """Metrics that a text names, with the labels it chooses by."""
    for name, labels in re.findall(r"\b((?:faultwatch|process)_[a-z_]+)(?:\{([^}]*)\})?", text):
        yield name, set(re.findall(r"(\w+)\s*[=!]", labels)) - {"job", "instance"}


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=["rules", "dashboard"])
def test_every_metric_that_is_asked_for_exists(path: Path) -> None:
    names, text = known(), path.read_text(encoding="utf-8")
    if path == DASHBOARD:
        text = "\n".join(expressions())
    found = list(asked(text))
    assert len(found) > 10
    assert [name for name, _ in found if name not in names] == []
    assert [(name, labels) for name, labels in found if not labels <= set(names[name])] == []


def test_every_metric_is_in_the_dashboard_or_the_rules() -> None:
    text = "\n".join([*expressions(), RULES.read_text(encoding="utf-8")])
    shown = {name for name, _ in asked(text)}
    ours = [metric for metric in Metrics().described() if metric.name.startswith("faultwatch_")]
    left_out = [m.name for m in ours if not {f"{m.name}{end}" for end in ENDINGS.get(m.kind, ("",))} & shown]
    assert left_out == ["faultwatch_info"]


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_prometheus_takes_the_rules_and_the_configuration(promtool: Path) -> None:
    for arguments in (("check", "rules", RULES), ("check", "config", DEPLOY / "prometheus.yml")):
        done = run([promtool, *arguments])
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_what_the_panels_ask(promtool: Path, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": asking} for number, asking in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = run([promtool, "check", "rules", path])
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_page_of_metrics(promtool: Path, tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_bytes(Metrics().text())
    done = run(["sh", "-c", f'"{promtool}" check metrics < "{path}"'])
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("faultwatch_")]
    assert complaints == []


def test_the_rules_fire_when_they_should_and_only_then(promtool: Path) -> None:
    done = run([promtool, "test", "rules", Path(__file__).with_name("rules_test.yml")])
    assert done.returncode == 0, done.stdout + done.stderr
