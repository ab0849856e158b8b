"""`faultwatch cloud`: train, serve and watch models on AWS SageMaker."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..components.command import DataOption, now_ms
from .cli_monitor import monitor
from .options import MadeOption, PackageOption, RegionOption, TypeOption

if TYPE_CHECKING:
    from .aws.account import Account
    from .aws.made import Made

cloud = typer.Typer(no_args_is_help=True, help="Train, serve and watch models on AWS SageMaker.")
cloud.add_typer(monitor, name="monitor")


@cloud.command("pipeline")
def pipeline(
    made: MadeOption,
    image: Annotated[str, typer.Option(help="The image that jobs run, REPOSITORY@DIGEST.")] = "",
    type_name: Annotated[
        str, typer.Option("--type", help="Device type that is trained; a start may name another.", metavar="NAME")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the definition, change nothing.")] = False,
    deploy: Annotated[bool, typer.Option("--deploy", help="Make the pipeline, or bring it up to date.")] = False,
    start: Annotated[bool, typer.Option("--start", help="Start it.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show its last executions.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Start with a parameter changed, such as data_ingestion__days=30.", metavar="NAME=VALUE"
        ),
    ] = None,
    data: DataOption = None,
    region: RegionOption = None,
) -> None:
    """Compile the training pipeline for SageMaker: print it, deploy it, start it, or show how it goes.

    With --data a start copies the models that serve to where training compares new ones with them.
    """
    from ..exceptions import ConfigError
    from ..pipelines.training import TRAINING
    from .aws import deployment
    from .aws.account import Account
    from .aws.made import read_made
    from .aws.sagemaker_pipeline import compile_pipeline, definition_text

    if not (dry_run or deploy or start or status):
        raise ConfigError("expected --dry-run, --deploy, --start or --status")
    environment = read_made(made)
    if dry_run or deploy:
        if "@sha256:" not in image or not type_name:
            raise ConfigError(
                "expected --image REPOSITORY@sha256:DIGEST and --type NAME, which the pipeline is made of"
            )
        definition = compile_pipeline(TRAINING, environment, image, type_name)
        if dry_run:
            typer.echo(definition_text(definition), nl=False)
            return
    with Account(region) as account:
        if deploy:
            typer.echo(f"deployed: {deployment.deploy(account, environment, definition)}")
        if start:
            _publish(account, environment, data)
            given = _parameters(changes or [])
            if type_name:
                given["DeviceType"] = type_name
            typer.echo(f"started: {deployment.start(account, environment, given)}")
        if status:
            for line in deployment.status(account, environment):
                typer.echo(line)


@cloud.command("step")
def step(
    name: Annotated[str, typer.Argument(help="Step of the pipeline.", metavar="STEP")],
    type_name: TypeOption,
    pipeline_name: Annotated[str, typer.Option("--pipeline", help="The pipeline.", metavar="NAME")] = "training",
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the step's config.", metavar="FIELD=VALUE")
    ] = None,
    told: Annotated[
        bool,
        typer.Option("--told", help="Exit with 0 where the verdict is fail: the pipeline's condition asks for it."),
    ] = False,
) -> None:
    """Run one step of a pipeline in a container of SageMaker, on what is laid out below `container_root`.

    Exit code 3 where the step's verdict is fail, 2 where it can't be run; the reason is left where AWS shows it.
    """
    from ..exceptions import FaultwatchError
    from ..logs import configure
    from ..settings import load_settings
    from .aws import container
    from .aws.layout import Layout
    from .aws.secret import sign_in

    settings = load_settings()
    configure(settings)
    layout = Layout(settings.container_root)
    try:
        sign_in(settings)
        declared = container.find_step(pipeline_name, name)
        meant = container.told(declared, {**layout.told(), **_parameters(changes or [])})
        verdict = container.run_step(meant, settings, type_name, now_ms())
    except FaultwatchError as error:
        container.tell_reason(layout, str(error))
        raise
    typer.echo(f"{name}: {verdict.verdict} {verdict.reason}".rstrip())
    if verdict.verdict == "fail" and not told:
        container.tell_reason(layout, verdict.reason)
        raise typer.Exit(3)


def _parameters(changes: list[str]) -> dict[str, str]:
    from ..exceptions import ConfigError

    found = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set {change!r}: expected NAME=VALUE")
        found[name] = value
    return found


def _publish(account: "Account", environment: "Made", data: Path | None) -> None:
    from ..components.command import workplace
    from .aws.deployment import publish_champions

    if data is None:
        return
    with workplace(data) as place:
        for copied in publish_champions(account, environment, place):
            typer.echo(f"copied the model that serves: {copied}")


@cloud.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on. Default: SAGEMAKER_BIND_TO_PORT, else 8080.", min=0, max=65535),
    ] = None,
) -> None:
    """Answer /ping and /invocations with the model below `container_root`, as SageMaker's endpoints and batches ask.

    SageMaker runs the image with the argument `serve`; it asks from inside the container's own network.
    """
    from ..logs import configure
    from ..settings import load_settings
    from .aws.endpoint import most_bytes_of, port_of, serve_model
    from .aws.layout import Layout

    settings = load_settings()
    configure(settings)
    most = most_bytes_of(settings.endpoint_body_bytes)
    serve_model(Layout(settings.container_root).model, host, port_of(port), most)


@cloud.command("batch")
def batch(
    made: MadeOption,
    source: Annotated[str, typer.Option("--input", help="CSV files to score.", metavar="s3://BUCKET/PREFIX")],
    type_name: TypeOption,
    package: PackageOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what AWS would be asked, change nothing.")] = False,
    region: RegionOption = None,
) -> None:
    """Score files of S3 with a registered model, by batch transform.

    A file is one request: its first line names device_id, timestamp and sensors, and each device's history comes first.
    """
    import msgspec

    from .aws import batch as transforms
    from .aws.account import Account
    from .aws.made import read_made
    from .aws.registry import newest_approved

    environment = read_made(made)
    with Account(region) as account:
        chosen = package or newest_approved(account, environment, type_name)
        if dry_run:
            asked = transforms.requests(environment, chosen, source, now_ms())
            typer.echo(msgspec.json.format(msgspec.json.encode(asked), indent=2).decode())
            return
        name, output = transforms.transform(account, environment, chosen, source, now_ms())
    typer.echo(f"started: {name}, scores go to {output}")


@cloud.command("endpoint")
def endpoint(
    made: MadeOption,
    name: Annotated[str, typer.Option(help="Name of the endpoint.")],
    type_name: TypeOption,
    package: PackageOption = None,
    region: RegionOption = None,
) -> None:
    """Have a registered model answer over HTTPS, on a machine that costs until the endpoint is deleted."""
    from .aws.account import Account
    from .aws.endpoints import create
    from .aws.made import read_made
    from .aws.registry import newest_approved

    environment = read_made(made)
    with Account(region) as account:
        chosen = package or newest_approved(account, environment, type_name)
        typer.echo(f"made: {create(account, environment, name, chosen)}")


@cloud.command("pull")
def pull(
    made: MadeOption,
    type_name: TypeOption,
    package: PackageOption = None,
    shadow: Annotated[float, typer.Option(help="Watch it as challenger for so many hours first.", min=0)] = 0.0,
    warm_days: Annotated[
        float,
        typer.Option(help="Let it live through so many days of every device first; 0 swaps it in at once.", min=0),
    ] = 14.0,
    data: DataOption = None,
    region: RegionOption = None,
) -> None:
    """Have a model served here that was approved in SageMaker: fetch it, check it, give it the next version.

    A running service takes it up within seconds, as it does what is trained here; `faultwatch lineage` says where it
    came from, `faultwatch models rollback` goes back.
    """
    from ..components.command import workplace
    from ..components.model_pusher import PusherConfig
    from ..pipelines.cli_models import tell_served
    from .aws import registry
    from .aws.account import Account
    from .aws.made import read_made
    from .aws.pulling import pull as pulled

    environment = read_made(made)
    with workplace(data) as place, Account(region) as account:
        account.must_be(environment.sagemaker.account)
        ((type_id, _),) = place.types(type_name)
        arn = package or registry.newest_approved(account, environment, type_name)
        found = registry.describe(account, environment, arn)
        config = PusherConfig(shadow_hours=shadow, warm_days=warm_days)
        run, pushed = pulled(account, environment, place, type_id, found, config, now_ms)
        typer.echo(f"pulled: {found.name} as {type_name}@{pushed.version}, run {run.id}")
        tell_served(place, type_id, pushed.version, pushed.command)
