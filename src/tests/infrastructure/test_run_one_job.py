"""The script of a runner's machine, executed: GitHub and the machine's metadata are servers on the loopback.

What only a machine of AWS has (`aws`, `dnf`, `runuser`, `useradd`, `shutdown`) are programs that write down how they
were called; the runner is an archive with two scripts that do the same.
"""

import base64
import hashlib
import http.server
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ..checkout import ROOT, run

SCRIPT = ROOT / "infrastructure" / "sensor_ec2" / "run-one-job.sh"
NEEDED = ("bash", "curl", "git", "jq", "openssl", "sha256sum", "tar", "timeout")
SPY = '#!/bin/sh\necho "$(basename "$0") $*" >> "{log}"\n'


def archive() -> bytes:
    """A runner whose two programs say how they were called."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("config.sh", "run.sh"):
            text = f'#!/bin/sh\necho "{name} $*" >> "$PWD/../log"\n'.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


@dataclass
class GitHub:
    """GitHub and the metadata of a machine, as far as the script asks them."""

    key: rsa.RSAPrivateKey
    runner: bytes = field(default_factory=archive)
    checksum: str = ""
    address: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, token: str) -> bytes | None:
        """The body of an answer, or None to refuse."""
        self.asked.append(f"{method} {path}")
        if path == "/latest/api/token":
            return b"session"
        if path == "/latest/meta-data/instance-id":
            return b"i-0123456789abcdef0"
        if path == "/app/installations/77/access_tokens":
            return json.dumps({"token": "installation"}).encode() if self.is_signed(token) else None
        if path == "/actions-runner.tar.gz":
            return self.runner
        if token != "Bearer installation":
            return None
        if path.endswith("/actions/runners/downloads"):
            url, checksum = (
                f"{self.address}/actions-runner.tar.gz",
                self.checksum or hashlib.sha256(self.runner).hexdigest(),
            )
            arm = {"os": "linux", "architecture": "arm64", "download_url": url, "sha256_checksum": checksum}
            return json.dumps([{"os": "win", "architecture": "x64"}, arm]).encode()
        return json.dumps({"token": "registration"}).encode()

    def is_signed(self, token: str) -> bool:
        """Whether a token is the App's, for ten minutes at most. Raises InvalidSignature where it isn't signed."""
        parts = [base64.urlsafe_b64decode(part + "==") for part in token.removeprefix("Bearer ").split(".")]
        signed = token.removeprefix("Bearer ").rpartition(".")[0].encode()
        self.key.public_key().verify(parts[2], signed, padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(parts[1])
        return bool(claims["iss"] == "4711" and claims["exp"] <= claims["iat"] + 600)


@pytest.fixture
def github() -> Iterator[GitHub]:
    """A server that answers as GitHub and as a machine's metadata."""
    github = GitHub(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = github.answer(self.command, self.path, self.headers.get("Authorization", ""))
            self.send_response(403 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        do_GET = do_POST = do_PUT = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        github.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield github
        server.shutdown()
        thread.join()


def machine(folder: Path, github: GitHub, **secret: str) -> dict[str, str]:
    """A machine's environment; what its programs were called with comes into `log`."""
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        pytest.skip(f"the runner's machine has {', '.join(missing)}, and this one doesn't")
    programs, log = folder / "bin", folder / "log"
    programs.mkdir()
    for name in ("chown", "dnf", "id", "shutdown", "useradd"):
        (programs / name).write_text(SPY.format(log=log))
    (folder / "secret.json").write_text(json.dumps(secret))
    said = f'case "$*" in *get-secret-value*) cat "{folder}/secret.json" ;; esac\n'
    (programs / "aws").write_text(SPY.format(log=log) + said)
    (programs / "runuser").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "API": github.address,
        "METADATA": github.address,
        "HOME_OF_RUNNER": str(folder / "runner"),
        "ARCHITECTURE": "arm64",
        "GROUP": "faultwatch-dev-runner",
        "HOURS": "2",
        "LABEL": "faultwatch-dev",
        "REGION": "eu-central-1",
        "REPOSITORY": "example/faultwatch",
        "SECRET": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app",
    }


def pem(key: rsa.RSAPrivateKey) -> str:
    """A private key as GitHub hands it out."""
    form, cipher = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, cipher).decode()


def test_it_registers_runs_one_job_and_leaves(tmp_path: Path, github: GitHub) -> None:
    secret = {"app_id": "4711", "installation_id": "77", "private_key": pem(github.key)}
    done = run(["bash", SCRIPT], env=machine(tmp_path, github, **secret))
    assert done.returncode == 0, done.stderr
    config, job, leave = (tmp_path / "log").read_text().splitlines()[-3:]
    assert config == (
        "config.sh --unattended --ephemeral --replace --url https://github.com/example/faultwatch --token registration"
        " --name i-0123456789abcdef0 --labels faultwatch-dev"
    )
    assert job == "run.sh "
    assert leave == (
        "aws --region eu-central-1 autoscaling terminate-instance-in-auto-scaling-group"
        " --instance-id i-0123456789abcdef0 --should-decrement-desired-capacity"
    )


def test_a_runner_that_is_not_what_github_said_is_not_started(tmp_path: Path, github: GitHub) -> None:
    github.checksum = "0" * 64
    secret = {"app_id": "4711", "installation_id": "77", "private_key": pem(github.key)}
    done = run(["bash", SCRIPT], env=machine(tmp_path, github, **secret))
    assert done.returncode != 0
    log = (tmp_path / "log").read_text()
    assert "config.sh" not in log and "run.sh" not in log
    assert "terminate-instance-in-auto-scaling-group" in log.splitlines()[-1]


def test_a_secret_that_was_not_filled_in_is_named_and_the_machine_leaves(tmp_path: Path, github: GitHub) -> None:
    done = run(["bash", SCRIPT], env=machine(tmp_path, github, app_id="4711"))
    assert done.returncode != 0
    assert "secret:app has no private_key" in done.stderr
    assert "terminate-instance-in-auto-scaling-group" in (tmp_path / "log").read_text().splitlines()[-1]
