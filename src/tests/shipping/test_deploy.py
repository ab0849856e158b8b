"""`make deploy`: values, chart, the cluster's token, and going back; Kubernetes itself can't be run here."""

import base64
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import yaml

from ...fleet.secrets import Secrets
from ..checkout import ROOT, run
from ..operations.service import Fleet, Service, now_ms, rows_at
from ..systems import s3

helm_python = pytest.importorskip("helm_python", reason="Helm's library has no build for this machine")
from scripts import deploy, smoke  # noqa: E402

IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/faultwatch@sha256:{'a' * 64}"
ACCOUNT: Mapping[str, Any] = {
    "lakeUrl": "s3://faultwatch-dev-telemetry/lake",
    "database": {"host": "faultwatch-fleet.example.com", "secret": "rds!db-1"},
    "secretKey": {"secret": "faultwatch-dev/secret-key"},
    "secrets": {"region": "eu-central-1"},
    "ingress": {"host": "faults.example.com", "certificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1"},
    "networkPolicy": {"from": ["10.0.0.0/16"], "database": ["10.0.0.0/16"]},
}


def verb(*variables: str, account: Mapping[str, Any] = ACCOUNT, environment: str = "dev") -> tuple[int, str]:
    """Exit code of the verb, and what it said."""
    command = ["make", "--no-print-directory", "deploy", f"ENVIRONMENT={environment}", f"IMAGE={IMAGE}", *variables]
    done = run(command, env={"CHART_VALUES": yaml.safe_dump(dict(account))})
    return done.returncode, done.stdout + done.stderr


def test_a_dry_run_does_all_but_talk_to_aws() -> None:
    code, said = verb("OPTIONS=--dry-run")
    assert code == 0, said
    assert {"StatefulSet faultwatch-loop", "Deployment faultwatch-web", "Ingress faultwatch"} <= set(said.splitlines())


@pytest.mark.parametrize("page", ["deploy-aws.md", "deploy-kubernetes.md"])
def test_what_a_page_has_people_write_is_what_the_chart_takes(page: str) -> None:
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    (account,) = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    assert "Ingress faultwatch" in deploy.rendered(deploy.values_of("dev", account, IMAGE))
    (command,) = re.findall(r'^python3 -c "(.*?)"', text, re.M)
    key = run([sys.executable, "-c", command]).stdout.strip()
    secrets = Secrets(key.encode())
    assert secrets.decrypt(secrets.encrypt("address")) == "address"


def test_what_is_wrong_is_told_before_anything_is_touched() -> None:
    code, said = verb("OPTIONS=--dry-run", account={**ACCOUNT, "lakeUrl": "here"})
    assert code == 2 and "not deployed: the chart can't be rendered" in said and "lakeUrl" in said
    code, said = verb("OPTIONS=--dry-run", environment="staging")
    assert code == 2 and "there is no environment 'staging'; there are dev, prod" in said
    with pytest.raises(deploy.DeployError, match="since a tag may be moved"):
        deploy.values_of("dev", "", "registry/faultwatch:latest")
    with pytest.raises(deploy.DeployError, match="expected the names and values"):
        deploy.values_of("dev", "- a\n- b", IMAGE)


def test_a_cluster_that_is_not_there_or_does_not_answer_is_told(moto_server: s3.Bucket) -> None:
    code, said = verb()
    assert code == 2 and "not deployed:" in said and "No cluster found for name: faultwatch-dev" in said
    boto3.client("eks").create_cluster(
        name="faultwatch-dev", roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": []}
    )
    code, said = verb()
    assert code == 2 and "not deployed:" in said and "Traceback" not in said


def test_the_token_is_a_question_who_asks_that_the_service_answers(moto_server: s3.Bucket) -> None:
    token = deploy.token("faultwatch-dev", "eu-central-1")
    assert token.startswith("k8s-aws-v1.")
    encoded = token.removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    assert "x-k8s-aws-id" in url and "X-Amz-Expires=60" in url
    # moto's one server for all services learns from this header which one is asked; the query says the same.
    credential = f"AWS4-HMAC-SHA256 Credential={httpx.URL(url).params['X-Amz-Credential']}"
    answer = httpx.get(url, headers={"x-k8s-aws-id": "faultwatch-dev", "Authorization": credential})
    assert answer.status_code == 200 and "GetCallerIdentityResponse" in answer.text


class Recorded:
    """Helm's client, its cluster a list of revisions; `broken` ones don't come up."""

    def __init__(self, *revisions: str, broken: bool = False) -> None:
        self.revisions = [{"revision": n, "status": status} for n, status in enumerate(revisions, start=1)]
        self.broken = broken
        self.done: list[str] = []

    def history(self, name: str) -> list[dict[str, Any]]:
        """The revisions there are."""
        if not self.revisions:
            raise helm_python.HelmNotFoundError("release: not found")
        return self.revisions

    def install(self, chart: Path, name: str, values: deploy.Values, *, wait: str, timeout: int) -> object:
        """Make the first revision."""
        self._add("install")
        return None

    def upgrade(self, chart: Path, name: str, values: deploy.Values, *, wait: str, timeout: int) -> object:
        """Make the next revision."""
        self._add("upgrade")
        return None

    def rollback(self, name: str, *, version: int, wait: str, timeout: int) -> None:
        """Make an earlier one the newest."""
        self.done.append(f"rollback to {version}")

    def _add(self, verb: str) -> None:
        self.done.append(verb)
        self.revisions.append({"revision": len(self.revisions) + 1, "status": "failed" if self.broken else "deployed"})
        if self.broken:
            raise helm_python.HelmReleaseError("context deadline exceeded")


def test_the_double_has_the_signatures_of_helms_client() -> None:
    for name in ("history", "install", "upgrade", "rollback"):
        ours = inspect.signature(getattr(Recorded, name)).parameters
        theirs = inspect.signature(getattr(helm_python.Config, name)).parameters
        assert set(ours) <= set(theirs), name
        for parameter, taken in ours.items():
            assert taken.kind == theirs[parameter].kind, f"{name}({parameter})"


def test_what_works_stays() -> None:
    first, next_one = Recorded(), Recorded("superseded", "deployed")
    assert deploy.bring(first, {}, list) == 1
    assert deploy.bring(next_one, {}, list) == 3
    assert (first.done, next_one.done) == (["install"], ["upgrade"])


def test_what_comes_up_and_does_not_work_goes_back_to_what_ran() -> None:
    releases = Recorded("superseded", "deployed", "failed")
    with pytest.raises(deploy.DeployError, match=r"GET /readyz: 503\. Revision 2 runs again"):
        deploy.bring(releases, {}, lambda: ["GET /readyz: 503"])
    assert releases.done == ["upgrade", "rollback to 2"]


def test_what_does_not_come_up_goes_back_too_and_a_first_one_has_nowhere_to_go() -> None:
    releases = Recorded("deployed", broken=True)
    with pytest.raises(deploy.DeployError, match="it did not come up within 900 s.*Revision 1 runs again"):
        deploy.bring(releases, {}, list)
    first = Recorded(broken=True)
    with pytest.raises(deploy.DeployError, match="there is none to go back to"):
        deploy.bring(first, {}, list)
    assert (releases.done, first.done) == (["upgrade", "rollback to 1"], ["install"])


def test_the_smoke_test_passes_a_service_that_works(running: tuple[Service, Fleet]) -> None:
    service, fleet = running
    service.send(fleet.tokens["write"], rows_at(now_ms(), ["d-1"]))
    done = run([sys.executable, "-m", "scripts.smoke", service.url, "--within", "60"])
    assert (done.returncode, done.stdout) == (0, f"{service.url} works\n")


def test_the_smoke_test_names_what_does_not_answer_and_what_answers_wrongly() -> None:
    (line,) = smoke.try_until("http://127.0.0.1:9", 0)
    assert "does not answer" in line
    with httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(503, text="no")), base_url="http://x"
    ) as client:
        assert len(smoke.troubles(client)) == 4
