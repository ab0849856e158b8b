"""Bring an image to a cluster with Helm, try it, and go back where it doesn't work: `python -m scripts.deploy --help`.

Values come from cloud/helm/environments/ENVIRONMENT.yaml, then from the YAML in CHART_VALUES, which names what belongs
to the account (lake, database, secrets, host, networks), then from the image. With --dry-run everything is done but
talking to AWS: the values are merged and checked, and the chart is rendered.
"""

import argparse
import base64
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import boto3
import helm_python
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from .smoke import try_until

ROOT = Path(__file__).parents[1]
CHART = ROOT / "cloud" / "helm" / "faultwatch"
ENVIRONMENTS = ROOT / "cloud" / "helm" / "environments"
RELEASE = NAMESPACE = "faultwatch"
TIMEOUT_S = 900
SMOKE_S = 300
TOKEN_S = 60
Values = dict[str, Any]


class DeployError(Exception):
    """Why nothing was deployed, or what was is not what runs now."""


class Releases(Protocol):
    """The part of Helm's client that is used."""

    def history(self, name: str) -> list[dict[str, Any]]:
        """The revisions of a release; raises HelmNotFoundError where there is none."""

    def install(self, chart: Path, name: str, values: Values, *, wait: str, timeout: int) -> object:
        """Make a release."""

    def upgrade(self, chart: Path, name: str, values: Values, *, wait: str, timeout: int) -> object:
        """Make the release's next revision."""

    def rollback(self, name: str, *, version: int, wait: str, timeout: int) -> None:
        """Make an earlier revision the newest."""


def merged(base: Values, over: Mapping[str, Any]) -> Values:
    """`base` with the values of `over` in their places."""
    out = dict(base)
    for name, value in over.items():
        there = out.get(name)
        out[name] = merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
    return out


def values_of(environment: str, account: str, image: str) -> Values:
    """The values of a deployment. Raises DeployError where they aren't YAML, or the image isn't named by digest."""
    repository, _, digest = image.partition("@")
    if not digest.startswith("sha256:"):
        raise DeployError(f"the image is {image!r}; expected REPOSITORY@sha256:…, since a tag may be moved")
    path = ENVIRONMENTS / f"{environment}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in ENVIRONMENTS.glob("*.yaml")))
        raise DeployError(f"there is no environment {environment!r}; there are {known}")
    try:
        own = yaml.safe_load(account) or {}
    except yaml.YAMLError as error:
        raise DeployError(f"CHART_VALUES is not YAML: {error}") from error
    if not isinstance(own, dict):
        raise DeployError(f"CHART_VALUES is {own!r}; expected the names and values of the chart")
    values = merged(yaml.safe_load(path.read_text(encoding="utf-8")), own)
    return merged(values, {"image": {"repository": repository, "digest": digest}})


def rendered(values: Values) -> list[str]:
    """Kind and name of everything that the chart makes. Raises DeployError where the values aren't the chart's."""
    try:
        with helm_python.Chart.load(CHART) as chart:
            files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    except helm_python.HelmError as error:
        raise DeployError(f"the chart can't be rendered: {error}") from error
    documents = (d for text in files.values() for d in yaml.safe_load_all(text) if isinstance(d, dict))
    return sorted(f"{document['kind']} {document['metadata']['name']}" for document in documents)


def bring(releases: Releases, values: Values, smoke: Callable[[], list[str]]) -> int:
    """Make the values the newest revision and try it; the number of it.

    Raises DeployError where it doesn't come up or doesn't work; then the revision before it runs again.
    """
    history = _history(releases)
    before = _running(history)
    try:
        if history:
            releases.upgrade(CHART, RELEASE, values, wait="watcher", timeout=TIMEOUT_S)
        else:
            releases.install(CHART, RELEASE, values, wait="watcher", timeout=TIMEOUT_S)
        found = smoke()
    except helm_python.HelmError as error:
        found = [f"it did not come up within {TIMEOUT_S} s: {error}"]
    if not found:
        return int(_history(releases)[-1]["revision"])
    why = "; ".join(found)
    if before is None:
        raise DeployError(f"{why}. No revision ran before it, so there is none to go back to: `kubectl get events`")
    try:
        releases.rollback(RELEASE, version=before, wait="watcher", timeout=TIMEOUT_S)
    except helm_python.HelmError as error:
        raise DeployError(f"{why}. Going back to revision {before} failed as well: {error}") from error
    raise DeployError(f"{why}. Revision {before} runs again")


def _history(releases: Releases) -> list[dict[str, Any]]:
    """The revisions there are, oldest first."""
    try:
        return releases.history(RELEASE)
    except helm_python.HelmNotFoundError:
        return []


def _running(history: list[dict[str, Any]]) -> int | None:
    """The revision that runs now."""
    return next((int(one["revision"]) for one in reversed(history) if one["status"] == "deployed"), None)


def token(cluster: str, region: str) -> str:
    """A bearer token for a cluster's API: a signed question who asks, good for a quarter of an hour."""
    sts = boto3.client("sts", region_name=region)

    def named(request: Any, **_: object) -> None:
        request.headers["x-k8s-aws-id"] = cluster

    sts.meta.events.register("before-sign.sts.GetCallerIdentity", named)
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=TOKEN_S, HttpMethod="GET")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def connected(cluster: str, region: str, folder: Path) -> "helm_python.Config":
    """Helm's client of a cluster on EKS; its certificate authority goes into `folder`."""
    found = boto3.client("eks", region_name=region).describe_cluster(name=cluster)["cluster"]
    authority = folder / "ca.crt"
    authority.write_bytes(base64.b64decode(found["certificateAuthority"]["data"]))
    return helm_python.Config(
        kube_apiserver=found["endpoint"],
        kube_ca_file=authority,
        kube_token=token(cluster, region),
        namespace=NAMESPACE,
    )


def main() -> int:
    """Deploy; the exit code: 0 it runs, 1 it doesn't."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", required=True, help="a file of cloud/helm/environments")
    parser.add_argument("--image", required=True, help="REPOSITORY@sha256:DIGEST")
    parser.add_argument("--cluster", help="name of the EKS cluster; without it faultwatch-ENVIRONMENT")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION"), help="without it AWS_REGION")
    parser.add_argument("--dry-run", action="store_true", help="check and render, and talk to nobody")
    given = parser.parse_args()
    cluster = given.cluster or f"faultwatch-{given.environment}"
    try:
        values = values_of(given.environment, os.environ.get("CHART_VALUES", ""), given.image)
        print("\n".join(rendered(values)))
        if given.dry_run:
            return 0
        if not given.region:
            raise DeployError("no region: set AWS_REGION or give --region")
        with tempfile.TemporaryDirectory() as folder, connected(cluster, given.region, Path(folder)) as releases:
            url = f"https://{values['ingress']['host']}"
            revision = bring(releases, values, lambda: try_until(url, SMOKE_S))
    except (DeployError, BotoCoreError, ClientError, helm_python.HelmError) as error:
        print(f"not deployed: {error}", file=sys.stderr)
        return 1
    print(f"revision {revision} of {RELEASE} runs on {cluster} and works at {url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
