"""The way back from SageMaker: a model that its command lines trained on a service's own readings, registered,
approved, and pulled, is what the running service judges with; one that is pending, rejected or changed is refused."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
import typer
from botocore.stub import Stubber

from ...cloud.aws.account import Account
from ...cloud.aws.made import Made
from ...cloud.aws.pulling import pull
from ...cloud.aws.registry import Package, describe
from ...cloud.aws.sagemaker_pipeline import compile_pipeline
from ...cloud.cli import cloud
from ...cloud.cli import pull as pull_command
from ...components import model_pusher
from ...components.artifact import FILE, read
from ...components.model_pusher import PusherConfig
from ...components.workplace import Workplace
from ...exceptions import ConfigError, ConflictError, ModelError
from ...fleet import model_versions
from ...fleet.database import reading
from ...pipelines import lineage
from ...pipelines.cli_models import rollback
from ...pipelines.runs import Runs
from ...pipelines.training import TRAINING
from ..service.fleet_of import MINUTE_MS, START_MS
from ..service.loops import Loop, running, settings_of, until
from ..systems import s3
from .environments import ACCOUNT, IMAGE, made, written
from .sagemaker_here import Here

pytestmark = pytest.mark.timeout(900)
MINUTES = 500
NOW_MS = START_MS + (MINUTES + 100) * MINUTE_MS
DEVICES = range(1, 13)


class InProcess(Here):
    """The same command lines, without a process for each: they were run as such elsewhere."""

    def _process(
        self, root: Path, request: Mapping[str, Any], specification: Mapping[str, Any]
    ) -> subprocess.CompletedProcess[str]:
        program, *words = specification["ContainerEntrypoint"]
        environment = {**request["Environment"], **self.given, "FAULTWATCH_CONTAINER_ROOT": str(root)}
        with pytest.MonkeyPatch.context() as patch:
            for name, text in environment.items():
                patch.setenv(name, text) if text else patch.delenv(name, raising=False)
            arguments = [*words[1:], *specification["ContainerArguments"]]
            code = typer.main.get_command(cloud).main(arguments, standalone_mode=False)
        return subprocess.CompletedProcess([program], code or 0, "", "")


@dataclass
class Service:
    """A running service, and what SageMaker's jobs made of its readings; `package` is what they registered."""

    loop: Loop
    place: Workplace
    there: Here
    package: dict[str, Any]

    @property
    def archive(self) -> Path:
        """The model as the training job left it."""
        return self.there.at(self.package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])

    def version(self, role: str) -> int | None:
        """The number of the version in a role."""
        with reading(self.place.engine) as session:
            found = model_versions.versions(session, self.loop.type_id)
        return next((one.version for one in found if one.role == role), None)

    def runs(self) -> int:
        """How many pulls were begun."""
        return len(Runs(self.place.data).all("pull"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with readings and a model of its own, and the same readings trained on in containers' folders."""
    folder = tmp_path_factory.mktemp("service")
    settings = settings_of(folder / "data")
    with running(settings, clock=lambda: NOW_MS) as loop:
        loop.send(DEVICES, range(MINUTES))
        until(loop.idle)
        place = replace(Workplace.open(settings), who="ann")
        given = {
            "PGUSER": "",
            "PGPASSWORD": "",
            "FAULTWATCH_DATABASE_SECRET": "",
            "FAULTWATCH_DATABASE_URL": str(settings.database_url),
            "FAULTWATCH_LAKE_URL": str(settings.lake_url),
        }
        there = InProcess(msgspec.to_builtins(compile_pipeline(TRAINING, made(), IMAGE, "pump")), folder, given)
        champion = place.champion(loop.type_id)
        assert champion is not None
        serving = there.at(f"s3://{made().buckets.models}/models/type-{loop.type_id}/{champion.folder}")
        shutil.copytree(place.models(loop.type_id) / champion.folder, serving)
        there.run()
        assert there.failed == ""
        (package,) = there.registered
        yield Service(loop, place, there, package)
        place.close()


@pytest.fixture
def environment(moto_server: s3.Bucket, service: Service) -> Made:
    """An environment whose bucket holds what the jobs left, and whose group of models is empty."""
    found = made(moto_server.name)
    sagemaker = msgspec.structs.replace(found.sagemaker, model_package_group=f"group-{moto_server.name}")
    root = service.there.at(f"s3://{made().buckets.models}")
    with Account() as account:
        account.client("sagemaker").create_model_package_group(ModelPackageGroupName=sagemaker.model_package_group)
        for file in root.rglob("*"):
            if file.is_file():
                account.client("s3").upload_file(str(file), moto_server.name, file.relative_to(root).as_posix())
    return msgspec.structs.replace(found, sagemaker=sagemaker)


def register(account: Account, environment: Made, service: Service, **changes: Any) -> str:
    """Register the model as the pipeline's request says, in this environment's bucket and group."""
    text = msgspec.json.encode(service.package).decode()
    for old, new in (
        (made().buckets.models, environment.buckets.models),
        (f'"{made().sagemaker.model_package_group}"', f'"{environment.sagemaker.model_package_group}"'),
    ):
        text = text.replace(old, new)
    request = {**msgspec.json.decode(text), **changes}
    return str(account.client("sagemaker").create_model_package(**request)["ModelPackageArn"])


def approve(account: Account, arn: str, state: str = "Approved", why: str = "") -> None:
    """Say that a model may serve, or that it may not."""
    client = account.client("sagemaker")
    noted = client.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"]
    client.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus=state,
        ApprovalDescription=why,
        CustomerMetadataProperties=noted,  # moto forgets what an update leaves out, and AWS keeps it
    )


def pulled(account: Account, environment: Made, service: Service, package: Package, **config: float) -> int:
    """Pull a package; the version that it became."""
    quick = PusherConfig(**{"warm_days": 0.1, **config})
    _, pushed = pull(account, environment, service.place, service.loop.type_id, package, quick, lambda: NOW_MS)
    return pushed.version


def test_an_approved_model_is_what_the_running_service_judges_with(
    service: Service, environment: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, data = written(tmp_path, environment), service.place.data
    with Account() as account:
        arn = register(account, environment, service)
        with pytest.raises(ConfigError, match="has no approved model of device type 'pump'"):
            pull_command(file, "pump", data=data)
        with pytest.raises(ModelError, match=f"waits for approval; .* aws sagemaker update-model-package .*{arn} "):
            pull_command(file, "pump", arn, data=data)
        approve(account, arn)
    assert service.version("champion") == 1 and service.runs() == 0
    pull_command(file, "pump", data=data)
    said = capsys.readouterr().out
    assert said.startswith("pulled: group-") and "pump@2 serves\n" in said
    assert service.version("champion") == 2
    service.loop.send(DEVICES, range(MINUTES, MINUTES + 5))
    until(service.loop.idle)
    rows = service.loop.rows().filter(pl.col("timestamp").dt.epoch("ms") >= START_MS + MINUTES * MINUTE_MS)
    assert len(rows) == 5 * len(DEVICES) and set(rows["model_version"]) == {2}
    lines = "\n".join(lineage.lineage(service.place, lineage.find_version(service.place, "pump@2")))
    for station in (f"{arn} was approved", "executor: SageMaker, execution execution1 of pipeline training", "pinned"):
        assert station in lines
    trained = read(service.place.models(service.loop.type_id) / service.place.versions(service.loop.type_id)[0].folder)
    assert f"code {trained.code}" in lines and trained.hash[:12] in lines
    rollback("pump", data=data)
    assert "pump@1 serves" in capsys.readouterr().out and service.version("champion") == 1


def test_the_same_model_keeps_its_version_and_may_be_watched_first(service: Service, environment: Made) -> None:
    with Account() as account:
        arn = register(account, environment, service)
        approve(account, arn)
        package = describe(account, environment, arn)
        number = pulled(account, environment, service, package, shadow_hours=4.0)
        assert service.version("challenger") == number and service.version("champion") != number
        assert pulled(account, environment, service, package) == number and service.version("champion") == number
        assert pulled(account, environment, service, package) == number, "it serves already"
        with Runs(service.place.data).only("pull", service.loop.type_id):
            with pytest.raises(ConflictError, match="is running for type"):
                pulled(account, environment, service, package)


def test_a_pull_that_was_killed_is_told_and_done_again(service: Service, environment: Made) -> None:
    runs = Runs(service.place.data)
    with Account() as account:
        arn = register(account, environment, service)
        approve(account, arn)
        package = describe(account, environment, arn)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model_pusher, "run", lambda *_: sys.exit(9))
            with pytest.raises(SystemExit):
                pulled(account, environment, service, package)
        (killed,) = (run for run in runs.all("pull") if run.state == "running")
        assert not runs.is_held(killed)
        pulled(account, environment, service, package)
    assert runs.get(killed.id).state == "failed" and "another one pulled again" in runs.get(killed.id).reason


def test_what_nobody_approved_is_refused_with_what_to_do(service: Service, environment: Made) -> None:
    begun = service.runs()
    with Account() as account:
        arn = register(account, environment, service)
        approve(account, arn, "Rejected", "too many false alerts")
        package = describe(account, environment, arn)
        with pytest.raises(
            ModelError, match=r"is rejected.*\(too many false alerts\); name an approved one .* or train"
        ):
            pulled(account, environment, service, package)
        other = msgspec.structs.replace(environment.sagemaker, model_package_group="elsewhere")
        with pytest.raises(ConfigError, match="is of group group-.*; expected elsewhere, the group of the environment"):
            describe(account, msgspec.structs.replace(environment, sagemaker=other), arn)
        with pytest.raises(ConfigError, match="^model arn:aws:sagemaker:.*"):
            describe(account, environment, arn[:-1] + "99")
        with Stubber(account.client("sagemaker")) as stub:
            identity = {"IamIdentity": {"Arn": f"arn:aws:iam::{ACCOUNT}:user/ann"}}
            told = msgspec.json.decode(msgspec.json.encode(service.package))
            stub.add_response(
                "describe_model_package",
                {
                    "ModelPackageName": "a",
                    "ModelPackageArn": arn,
                    "ModelPackageStatus": "Completed",
                    "ModelPackageStatusDetails": {"ValidationStatuses": []},
                    "CreationTime": 1,
                    "ModelPackageGroupName": environment.sagemaker.model_package_group,
                    "InferenceSpecification": told["InferenceSpecification"],
                    "ModelApprovalStatus": "Approved",
                    "LastModifiedBy": identity,
                },
                {"ModelPackageName": arn},
            )
            assert describe(account, environment, arn).by == f"arn:aws:iam::{ACCOUNT}:user/ann"
    assert service.runs() == begun


def test_what_is_not_what_was_trained_and_judged_is_refused_and_nothing_is_kept(
    service: Service, environment: Made, tmp_path: Path
) -> None:
    begun, kept = service.runs(), sorted(service.place.models(service.loop.type_id).iterdir())
    with Account() as account:
        arn = register(account, environment, service)
        approve(account, arn)
        package = describe(account, environment, arn)
        bucket, store = environment.buckets.models, account.client("s3")

        def refused(changed: Package, words: str, error: type[Exception] = ModelError) -> None:
            with pytest.raises(error, match=words):
                pulled(account, environment, service, changed)

        refused(replace(package, etag="0" * 32), "was changed after the model was registered")
        refused(replace(package, noted={}), "registered without data_ingestion, model_evaluation; expected one that")
        elsewhere = {**package.noted, "model_evaluation": "s3://elsewhere/artifact"}
        refused(replace(package, noted=elsewhere), "is at s3://elsewhere/.*; expected it in the bucket", ConfigError)
        swapped = {**package.noted, "model_evaluation": package.noted["data_ingestion"]}
        refused(replace(package, noted=swapped), "model_evaluation of model .* is data_ingestion of device type 'pump'")
        nothing = {**package.noted, "model_evaluation": f"s3://{bucket}/nowhere"}
        refused(replace(package, noted=nothing), "holds 0 files; expected those that a step of the pipeline left")
        gone = replace(package, archive=f"s3://{bucket}/nowhere/model.tar.gz")
        refused(gone, "there is none of that name", ConfigError)

        folder = tmp_path / "model"
        shutil.unpack_archive(service.archive, folder)

        def packed(name: str) -> Package:
            archive = shutil.make_archive(str(tmp_path / name), "gztar", folder)
            store.upload_file(archive, bucket, f"{name}.tar.gz")
            return replace(package, archive=f"s3://{bucket}/{name}.tar.gz")

        head = folder / FILE
        whole = head.read_text()
        head.write_text(whole.replace('"subject": "pump"', '"subject": "display"'))
        refused(packed("other"), "is model_trainer of device type 'display'; expected model_trainer of 'pump'")
        head.write_text(whole)
        (folder / "detector.json").write_text((folder / "detector.json").read_text() + " ")
        refused(packed("changed"), "are not those that model_trainer wrote")
        store.put_object(Bucket=bucket, Key="broken.tar.gz", Body=b"no archive")
        broken = replace(package, archive=f"s3://{bucket}/broken.tar.gz")
        refused(broken, "can't be unpacked: .*; train again", ConfigError)
    assert service.runs() == begun and sorted(service.place.models(service.loop.type_id).iterdir()) == kept
    assert not list(service.place.data.glob(".pulling-*"))
