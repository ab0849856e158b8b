"""`faultwatch serve`: the live loop, the pages, or both, in one process behind one port."""

import gc
import os
import random
import re
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from .exceptions import ConfigError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI
    from sqlalchemy import Engine
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .checks import Probe
    from .metrics import Metrics
    from .operations.endpoints import Endpoints, Figures
    from .operations.running import Note
    from .service.gateway import Gateway
    from .service.health import LoopHealth
    from .service.intake import Intake
    from .settings import Settings
    from .telemetry.lake import Lake

STOP_S = 3
"""How long requests under way may take once the service was told to stop."""


def serve(
    data: Annotated[Path | None, typer.Option(help="The data folder.", metavar="DIR")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    role: Annotated[
        str | None, typer.Option(help="all, or only a part: loop (takes readings in, judges them) or web (pages).")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Answer by TLS with this certificate (PEM); needs --tls-key.", metavar="FILE")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key (PEM).", metavar="FILE")] = None,
) -> None:
    """Take in readings, judge them, and show the dashboard."""
    from .logs import configure
    from .settings import load_settings

    settings = load_settings(data=data, host=host, port=port, role=role, tls_cert=tls_cert, tls_key=tls_key)
    configure(settings)
    run(settings, ready=lambda address, link: typer.echo(_welcome(address, link), err=True))


def run(settings: "Settings", ready: Callable[[str, str | None], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    `ready` is called with the address once it answers, and with the one-time link of a first start. Raises
    ConfigError where the port is taken, StorageError where the data folder is in use or something that was
    answered for is missing; exits with 1 where the loop died of a bug.
    """
    import structlog
    import uvicorn

    from .direct import directly
    from .fleet.database import connect, migrate
    from .metrics import Metrics
    from .operations.running import announced
    from .server import Protocol, Server
    from .service.health import LoopHealth
    from .service.live import Live, wall_ms
    from .telemetry.lake import Lake

    log = structlog.get_logger(__name__)
    _check_tls(settings)
    settings.data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_closing_on_sigterm())
        listener = stack.enter_context(_listen(settings.host, settings.port))
        address = _address(settings, listener)
        settings = settings.model_copy(update={"base_url": address})
        engine = connect(settings.database_url)
        stack.callback(engine.dispose)
        migrate(engine)
        lake = Lake(settings.lake_url, settings.storage_options())
        metrics = Metrics()
        live, gateway, pages, link, health = None, None, None, None, None
        if settings.role != "web":
            live = stack.enter_context(Live(settings, engine, lake, metrics=metrics))
            health = LoopHealth(live, settings, engine, lake)
            gateway = _gateway(settings, engine, live.intake, metrics)
            stack.callback(_notify(settings, engine, wall_ms))
            stack.callback(_beat(settings, health, metrics))
            stack.callback(_look_at_models(settings))
            stack.callback(_look_at_runs(settings, engine, lake))
            stack.callback(_look_at_kinds(settings, engine))
        if settings.role != "loop":
            pages = _pages(settings, engine, lake)
            link = _setup_link(engine, wall_ms(), address)
        config = uvicorn.Config(
            _together(_endpoints(settings, engine, metrics, health, pages), gateway, pages, metrics),
            http=Protocol if gateway is None else directly(gateway),  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_S,
            # Without proxies that are trusted, these headers are anybody's word; uvicorn would believe the loopback.
            proxy_headers=settings.trusted_proxies is not None,
            forwarded_allow_ips=settings.trusted_proxies,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        stack.enter_context(announced(settings.data, _note(settings, listener, wall_ms())))
        shutdown = pages.state.shutdown if pages is not None else None
        server = Server(config, lambda: ready(address, link), shutdown, _tell_to_wait)
        if live is not None:
            threading.Thread(target=_stop_when_failed, args=(live.failed, server), daemon=True).start()
        # Code and the fleet stay until the end: the collector needn't look through them again and again.
        gc.freeze()
        log.info("serve.starting", role=settings.role, address=address, data=str(settings.data))
        try:
            server.run(sockets=[listener])
        finally:
            signal.signal(signal.SIGINT, lambda _number, _frame: _tell_to_wait())
        if live is not None and live.failed.is_set():
            raise SystemExit(1)


def _pages(settings: "Settings", engine: "Engine", lake: "Lake") -> "FastAPI":
    from .telemetry.published import PublishedReader
    from .web.app import create_app

    return create_app(settings, engine, lake, [PublishedReader(settings.data / "published" / "shard-0")])


def _gateway(settings: "Settings", engine: "Engine", intake: "Intake", metrics: "Metrics") -> "Gateway":
    from .fleet.tokens import Tokens
    from .service.gateway import Gateway, GatewayLimits

    return Gateway(intake, Tokens(engine).authenticate, GatewayLimits.of(settings), metrics=metrics)


def _endpoints(
    settings: "Settings", engine: "Engine", metrics: "Metrics", loop: "LoopHealth | None", pages: "FastAPI | None"
) -> "Endpoints":
    """What the service says of itself, by the parts that run in this process."""
    from .checks import Checks
    from .fleet.tokens import Tokens
    from .operations.endpoints import Endpoints
    from .service.pipeline_figures import PipelineFigures
    from .web.health import PagesHealth

    probes: dict[str, Probe] = {}
    figures: list[Figures] = []
    if pages is not None:
        of_pages = PagesHealth(engine, pages.state.parts.published)
        probes.update(of_pages.probes())
        figures.append(of_pages.look)
        metrics.event_streams.set_function(lambda: pages.state.parts.feed.streams)
    if loop is not None:
        probes = {**loop.probes(), **{name: probe for name, probe in probes.items() if name != "database"}}
        figures.append(loop.look)
        figures.append(PipelineFigures(settings.data, engine).look)
    tokens = Tokens(engine)

    def opens(token: str) -> bool:
        return tokens.authenticate(token, "metrics") is not None

    return Endpoints(settings.role, metrics, Checks(probes), figures, opens)


def _notify(settings: "Settings", engine: "Engine", clock: Callable[[], int]) -> Callable[[], None]:
    """Start sending the outbox, where that is wanted; return what ends it."""
    from .fleet.secrets import open_secrets
    from .service.notifier import Notifier

    if not settings.notifications:
        return lambda: None
    notifier = Notifier(
        engine,
        open_secrets(settings.secret_key_file),
        settings.base_url,
        clock,
        random.random,
        settings.notify_private_networks,
    )
    notifier.start()
    return notifier.stop


def _beat(settings: "Settings", health: "LoopHealth", metrics: "Metrics") -> Callable[[], None]:
    """Start the heartbeat, where there is an address for it; return what ends it."""
    from .service.heartbeat import Heartbeat

    if settings.heartbeat_url is None:
        return lambda: None
    heartbeat = Heartbeat(settings.heartbeat_url, health.stalled, metrics)
    heartbeat.start()
    return heartbeat.stop


def _look_at_models(settings: "Settings") -> Callable[[], None]:
    """Start looking at the models, where that is wanted; return what ends it."""
    from .service.rounds import Rounds

    if settings.monitor_hours == 0:
        return lambda: None
    rounds = Rounds(settings)
    rounds.start()
    return rounds.stop


def _look_at_runs(settings: "Settings", engine: "Engine", lake: "Lake") -> Callable[[], None]:
    """Start looking at how runs of pipelines went; return what ends it."""
    from .service.model_watch import ModelWatch

    watch = ModelWatch(settings, engine, lake)
    watch.start()
    return watch.stop


def _look_at_kinds(settings: "Settings", engine: "Engine") -> Callable[[], None]:
    """Start naming the kinds of fault of open alerts; return what ends it."""
    from .service.kind_watch import KindWatch

    watch = KindWatch(settings, engine)
    watch.start()
    return watch.stop


def _setup_link(engine: "Engine", now_ms: int, address: str) -> str | None:
    from .fleet.users import make_setup_link

    token = make_setup_link(engine, now_ms)
    return f"{address}/setup/{token}" if token else None


def _together(
    endpoints: "Endpoints", gateway: "Gateway | None", pages: "FastAPI | None", metrics: "Metrics"
) -> "ASGIApp":
    """Readings to the gateway, all else to the pages; either may be missing. Endpoints are there in any case."""
    from .operations.endpoints import PATHS
    from .service.gateway import PATH
    from .web.counted import Counted

    counted = None if pages is None else Counted(pages, metrics)

    async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and scope["path"] in PATHS:
            return await endpoints(scope, receive, send)
        readings = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == PATH
        target = gateway if gateway is not None and (readings or pages is None) else counted
        if scope["type"] == "lifespan" and pages is None:
            return await _no_lifespan(receive, send)
        assert target is not None
        await target(scope, receive, send)

    return app


async def _no_lifespan(receive: "Receive", send: "Send") -> None:
    """The gateway has nothing to start or to end."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _check_tls(settings: "Settings") -> None:
    """Raise ConfigError where certificate and key can't be used together."""
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None and key is None:
        return
    if cert is None or key is None:
        given, missing = ("tls_cert", "tls_key") if key is None else ("tls_key", "tls_cert")
        raise ConfigError(f"{given} is set and {missing} isn't; expected both, or neither")

    def encrypted() -> str:
        raise ConfigError(f"tls_key {key} is encrypted; expected a key without a password, readable by faultwatch only")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, encrypted)
    except ssl.SSLError as error:
        raise ConfigError(
            f"tls_cert {cert} and tls_key {key} can't be used: {error.reason or error}; expected a certificate and its"
            " own key, both PEM"
        ) from error
    except OSError as error:
        raise ConfigError(f"tls_cert {cert} or tls_key {key} can't be read: {error.strerror}") from error


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ConfigError where the address can't be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # what follows names the address once more
        raise ConfigError(
            f"can't listen on {host}:{port}: {reason}; choose another with --port (0 takes a free one)"
        ) from error


def _address(settings: "Settings", listener: socket.socket) -> str:
    """What people open: the address that was set, or this machine's with the port that was got."""
    return re.sub(":0$", f":{listener.getsockname()[1]}", settings.base_url)


def _note(settings: "Settings", listener: socket.socket, now_ms: int) -> "Note":
    """Where this process answers, for commands on the same machine."""
    from . import __version__
    from .operations.running import Note
    from .settings import reachable

    return Note(
        pid=os.getpid(),
        machine=socket.gethostname(),
        role=settings.role,
        version=__version__,
        url=reachable(settings.host, listener.getsockname()[1], settings.tls_cert is not None),
        started_ms=now_ms,
        certificate=None if settings.tls_cert is None else str(settings.tls_cert),
    )


def _welcome(address: str, link: str | None) -> str:
    """What the terminal shows once the service answers."""
    if link is None:
        return f"faultwatch is ready: {address}  (Ctrl-C ends it)"
    return f"faultwatch is ready. Make the first account, once, at:\n  {link}\n(Ctrl-C ends it)"


@contextmanager
def _closing_on_sigterm() -> Iterator[None]:
    """SIGTERM ends what is inside as an exit does: what was opened is closed, what has come in is kept.

    uvicorn, when it has ended, sends itself the signal once more, which would end the process before that.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    before, before_int = signal.signal(signal.SIGTERM, leave), signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, before_int)


def _tell_to_wait() -> None:
    """Somebody asks again for the end that is under way."""
    typer.echo(
        f"already stopping: what came in is being saved. `kill -9 {os.getpid()}` ends it at once; the next start then"
        " goes on from the log, and nothing is lost",
        err=True,
    )


def _stop_when_failed(failed: threading.Event, server: "uvicorn.Server") -> None:
    failed.wait()
    server.should_exit = True
