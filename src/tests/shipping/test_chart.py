"""The Helm chart: what it renders is what Kubernetes takes, and what faultwatch understands."""

import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ...exceptions import StorageError
from ...fleet.database import answers, connect
from ...fleet.secrets import open_secrets
from ...operations.endpoints import PATHS
from ...settings import Settings, load_settings, unknown_variables
from ..checkout import ROOT

helm_python = pytest.importorskip("helm_python", reason="Helm's library has no build for this machine")

CHART = ROOT / "cloud" / "helm" / "faultwatch"
ENVIRONMENTS = ROOT / "cloud" / "helm" / "environments"
KUBERNETES = "1.34"
Values = dict[str, Any]
Document = dict[str, Any]

GIVEN: Values = {
    "image": {"repository": "123456789012.dkr.ecr.eu-central-1.example.com/faultwatch", "digest": "sha256:" + "a" * 64},
    "lakeUrl": "s3://faultwatch-prod-telemetry/lake",
    "database": {"host": "faultwatch-fleet.example.com", "secret": "rds!db-4f1d3b0e"},
    "secretKey": {"secret": "faultwatch-prod/secret-key"},
    "secrets": {"region": "eu-central-1"},
    "ingress": {"host": "faults.example.com", "certificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1"},
    "networkPolicy": {"from": ["10.0.0.0/16"], "database": ["10.0.0.0/16"]},
}
"""What an installation says at least."""

SCHEMAS: Mapping[str, Mapping[str, object]] = {
    "ExternalSecret": {
        "type": "object",
        "additionalProperties": False,
        "required": ["secretStoreRef", "target", "data"],
        "properties": {
            "refreshInterval": {"type": "string"},
            "secretStoreRef": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"name": {"type": "string"}, "kind": {"enum": ["SecretStore", "ClusterSecretStore"]}},
            },
            "target": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "creationPolicy": {"enum": ["Owner", "Orphan", "Merge", "None"]},
                    "template": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "engineVersion": {"const": "v2"},
                            "data": {"type": "object", "additionalProperties": {"type": "string"}},
                        },
                    },
                },
            },
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["remoteRef", "secretKey"],
                    "properties": {
                        "secretKey": {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"},
                        "remoteRef": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["key"],
                            "properties": {"key": {"type": "string"}, "property": {"type": "string"}},
                        },
                    },
                },
            },
        },
    },
    "SecretStore": {
        "type": "object",
        "additionalProperties": False,
        "required": ["provider"],
        "properties": {
            "provider": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "aws": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["region", "service"],
                        "properties": {
                            "region": {"type": "string"},
                            "service": {"enum": ["SecretsManager", "ParameterStore"]},
                        },
                    }
                },
            }
        },
    },
}
"""The fields of External Secrets v1 that the chart uses, as its resource definitions type them."""


def merged(base: Values, over: Values) -> Values:
    """`base` with the values of `over` in their places."""
    out = copy.deepcopy(base)
    for name, value in over.items():
        out[name] = merged(out.get(name, {}), value) if isinstance(value, dict) else value
    return out


def rendered(over: Values | None = None) -> list[Document]:
    """Every document that the chart makes of GIVEN with `over`."""
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(merged(GIVEN, over or {}), name="faultwatch", namespace="faultwatch")
    texts = (text for name, text in sorted(files.items()) if name.endswith(".yaml"))
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def find(documents: list[Document], kind: str, name: str = "faultwatch") -> Document:
    """The document of a kind and name."""
    (found,) = (d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)
    return found


def pods(documents: list[Document]) -> dict[str, Document]:
    """The pods' specifications by component."""
    owners = (find(documents, "StatefulSet", "faultwatch-loop"), find(documents, "Deployment", "faultwatch-web"))
    parts = (owner["spec"]["template"] for owner in owners)
    return {part["metadata"]["labels"]["app.kubernetes.io/component"]: part["spec"] for part in parts}


def containers(documents: list[Document]) -> dict[str, Document]:
    """The one container of each pod by component."""
    return {name: cast(Document, pod["containers"][0]) for name, pod in pods(documents).items()}


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    """The chart, rendered as an installation would."""
    return rendered()


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_kubernetes_takes_every_document(environment: str) -> None:
    values = yaml.safe_load((ENVIRONMENTS / f"{environment}.yaml").read_text(encoding="utf-8"))
    documents = rendered(values)
    kinds = {document["kind"] for document in documents}
    assert {"StatefulSet", "Deployment", "Service", "Ingress", "NetworkPolicy", "ServiceAccount"} <= kinds
    for document in documents:
        if document["kind"] in SCHEMAS:
            assert document["apiVersion"] == "external-secrets.io/v1"
            jsonschema.validate(document["spec"], SCHEMAS[document["kind"]])
        else:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_found(documents: list[Document]) -> None:
    broken = copy.deepcopy(find(documents, "StatefulSet", "faultwatch-loop"))
    broken["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_helm_lints_it_without_a_complaint() -> None:
    found = helm_python.lint(CHART, GIVEN, strict=True)
    messages = [line for line in found["messages"] if "icon is recommended" not in str(line)]
    assert messages == []


def test_pods_are_nobody_and_can_write_nowhere_but_in_their_volumes(documents: list[Document]) -> None:
    for name, pod in pods(documents).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert {"/tmp", "/var/lib/faultwatch", "/var/cache/faultwatch"} <= set(mounts), name
        volumes = {volume["name"] for volume in pod["volumes"]} | ({"data"} if name == "loop" else set())
        assert {mount["name"] for mount in mounts.values()} == volumes


def test_the_image_says_the_same_user_and_places(documents: list[Document]) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "USER_ID=10001" in text
    for container in containers(documents).values():
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(re.findall(r"(?:FAULTWATCH_DATA|NUMBA_CACHE_DIR)=(\S+)", text)) <= mounts


def test_probes_ask_what_the_service_answers_on_its_port(documents: list[Document]) -> None:
    for name, container in containers(documents).items():
        assert container["ports"] == [{"name": "http", "containerPort": Settings.model_fields["port"].default}]
        probes = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
        assert all(get["port"] == "http" and get["path"] in PATHS for get in probes.values())
        assert probes["readiness"]["path"] == ("/readyz" if name == "loop" else "/healthz")


def test_faultwatch_takes_the_environment(
    documents: list[Document], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    over = {"settings": {"retention_days": 400, "heartbeat_url": "https://hc.example.com/ping/1"}}
    for name, container in containers(rendered(over)).items():
        for variable in container["env"]:
            monkeypatch.setenv(variable["name"], variable["value"])
        settings = load_settings()
        assert unknown_variables() == []
        assert (settings.role, settings.retention_days) == (name, 400)
        assert settings.base_url == "https://faults.example.com"
        assert settings.trusted_proxies == "10.0.0.0/16"
        assert settings.lake_url == "s3://faultwatch-prod-telemetry/lake"


def test_the_schema_knows_every_setting_but_those_the_chart_sets() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))
    own = {"data", "database_url", "lake_url", "lake_storage_options", "secret_key_file", "role", "host", "port"}
    own |= {"tls_cert", "tls_key", "base_url"}
    assert set(schema["properties"]["settings"]["properties"]) == set(Settings.model_fields) - own


@pytest.mark.parametrize(
    ("over", "place"),
    [
        ({"settings": {"retention_day": 1}}, "retention_day"),
        ({"settings": {"data": "/elsewhere"}}, "data"),
        ({"image": {"digest": "", "tag": ""}}, "image"),
        ({"image": {"digest": "", "tag": "latest"}}, "image"),
        ({"image": {"digest": "sha256:short"}}, "digest"),
        ({"lakeUrl": "lake"}, "lakeUrl"),
        ({"database": {"host": ""}}, "database"),
        ({"secrets": {"region": ""}}, "secrets"),
        ({"ingress": {"certificateArn": ""}}, "ingress"),
        ({"networkPolicy": {"from": ["0.0.0.0/0"]}}, "networkPolicy"),
        ({"networkPolicy": {"database": []}}, "networkPolicy"),
        ({"web": {"replica": 3}}, "web"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_their_place(over: Values, place: str) -> None:
    with pytest.raises(helm_python.HelmError) as caught:
        rendered(over)
    assert place in str(caught.value)


def test_pages_see_what_the_loop_publishes_and_no_more(documents: list[Document]) -> None:
    loop = find(documents, "StatefulSet", "faultwatch-loop")["spec"]
    (claim,) = loop["volumeClaimTemplates"]
    web = pods(documents)["web"]
    (volume,) = (volume for volume in web["volumes"] if "persistentVolumeClaim" in volume)
    assert volume["persistentVolumeClaim"]["claimName"] == f"{claim['metadata']['name']}-faultwatch-loop-0"
    (mount,) = (mount for mount in web["containers"][0]["volumeMounts"] if mount["name"] == volume["name"])
    kept = next(m for m in containers(documents)["loop"]["volumeMounts"] if m["mountPath"] == "/var/lib/faultwatch")
    assert mount == {
        "name": "loop",
        "mountPath": f"{kept['mountPath']}/published",
        "subPath": f"{kept['subPath']}/published",
        "readOnly": True,
    }
    (term,) = web["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"] == loop["template"]["metadata"]["labels"]


def test_services_and_budgets_choose_the_pods_of_their_part(documents: list[Document]) -> None:
    owners = (find(documents, "StatefulSet", "faultwatch-loop"), find(documents, "Deployment", "faultwatch-web"))
    for owner in owners:
        name, labels = owner["metadata"]["name"], owner["spec"]["template"]["metadata"]["labels"]
        assert owner["spec"]["selector"]["matchLabels"] == labels
        assert find(documents, "Service", name)["spec"]["selector"] == labels
        assert find(documents, "PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"] == labels
    single = [d["metadata"]["name"] for d in rendered({"web": {"replicas": 1}}) if d["kind"] == "PodDisruptionBudget"]
    assert single == ["faultwatch-loop"]


def test_readings_go_to_the_loop_and_all_else_to_the_pages(documents: list[Document]) -> None:
    ingress = find(documents, "Ingress")
    paths = {
        path["path"]: (path["pathType"], path["backend"]["service"]["name"])
        for path in ingress["spec"]["rules"][0]["http"]["paths"]
    }
    assert paths == {"/api/v1/readings": ("Exact", "faultwatch-loop"), "/": ("Prefix", "faultwatch-web")}
    assert ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/ssl-redirect"] == "443"
    nginx = {"className": "nginx", "certificateArn": "", "tlsSecretName": "faults-tls"}
    other = find(rendered({"ingress": nginx}), "Ingress")
    assert other["spec"]["tls"] == [{"hosts": ["faults.example.com"], "secretName": "faults-tls"}]
    assert not other["metadata"].get("annotations")


def test_the_network_lets_out_what_is_named_and_never_to_the_nodes_metadata(documents: list[Document]) -> None:
    policy = find(documents, "NetworkPolicy")["spec"]
    blocks = [peer["ipBlock"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer]
    assert {block["cidr"] for block in blocks} == {"169.254.170.23/32", "10.0.0.0/16", "0.0.0.0/0"}
    (world,) = (block for block in blocks if block["cidr"] == "0.0.0.0/0")
    assert world["except"] == ["169.254.0.0/16"]
    assert policy["ingress"][0]["from"] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]


def test_no_secret_is_in_what_is_rendered(documents: list[Document]) -> None:
    assert [document["kind"] for document in documents if document["kind"] == "Secret"] == []
    names = {variable["name"] for pod in containers(documents).values() for variable in pod["env"]}
    assert [name for name in names if re.search("PASSWORD|TOKEN|ACCESS_KEY", name)] == []


def test_the_database_is_reached_by_what_external_secrets_writes_and_read_anew(
    documents: list[Document], postgresql: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = re.search(r"//(?P<user>\w+)@(?P<host>[^:]+):(?P<port>\d+)/(?P<name>\w+)", postgresql)
    assert server is not None
    place = {"host": server["host"], "port": int(server["port"]), "name": server["name"]}
    external = find(rendered({"database": place}), "ExternalSecret")["spec"]["target"]["template"]["data"]
    service = tmp_path / "pg_service.conf"

    def written(user: str, password: str) -> None:
        text = external["pg_service.conf"].replace("{{ .username }}", user).replace("{{ .password }}", password)
        service.write_text(text.replace("sslmode=require", "sslmode=prefer"))  # the server of the tests has no TLS

    (url,) = (v["value"] for v in containers(documents)["loop"]["env"] if v["name"] == "FAULTWATCH_DATABASE_URL")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    written(server["user"], "Spaces: 'quotes', #and =signs")
    engine = connect(Settings(data=tmp_path, database_url=url).database_url)
    answers(engine)
    engine.dispose()
    written("nobody_here", "rotated")
    with pytest.raises(StorageError, match="nobody_here"):
        answers(engine)
    engine.dispose()


def test_a_key_that_kubernetes_lends_to_the_pods_group_is_taken(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    key = tmp_path / "secret.key"
    made = open_secrets(key)
    token = made.encrypt("a word")
    os.chown(key, 12345, os.getegid())
    key.chmod(0o440)
    assert open_secrets(key).decrypt(token) == "a word"
    for mode in (0o444, 0o460):
        key.chmod(mode)
        with pytest.raises(StorageError, match="may be read by others"):
            open_secrets(key)
