"""TLS without a proxy: with a certificate the service answers by it, and says so; with a wrong one it says why not."""

import sys
from pathlib import Path

import httpx
import pytest

from ..checkout import run
from . import certificates
from .service import Service, fleet_in, now_ms, rows_at


def test_everything_is_answered_by_tls(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fleet = fleet_in(data)
    made = certificates.make(tmp_path / "tls")
    options = ("--tls-cert", str(made.cert), "--tls-key", str(made.key))
    with Service(data, *options, certificate=made.cert) as service:
        assert service.url.startswith("https://127.0.0.1:")
        service.until_ready()
        assert service.send(fleet.tokens["write"], rows_at(now_ms(), ["pump-1"]))["accepted"] == 1
        with pytest.raises(httpx.HTTPError):
            httpx.get(service.url.replace("https:", "http:") + "/healthz", timeout=10)
        form = {"email": "admin@example.com", "password": "correct horse battery"}
        signed_in = httpx.post(f"{service.url}/sign-in", data=form, verify=service.trusted, timeout=20)
        assert signed_in.status_code == 303
        assert "secure" in signed_in.headers["set-cookie"].lower()

        done = run([sys.executable, "-m", "src", "status", "--data", data])
        assert done.returncode == 0, done.stdout
        assert service.url in done.stdout, "asked on the loopback, the certificate known by its file"

        other = certificates.make(tmp_path / "other")
        made.cert.write_bytes(other.cert.read_bytes())
        done = run([sys.executable, "-m", "src", "status", "--data", data])
        assert done.returncode == 1 and "does not answer" in done.stdout, "nobody else's certificate is taken for it"


def refusal(tmp_path: Path, *options: str | Path) -> str:
    """What serve says when it does not start."""
    done = run([sys.executable, "-m", "src", "serve", "--data", tmp_path / "data", "--port", "0", *options])
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "data").exists(), "nothing was begun"
    return done.stderr


def test_what_can_not_be_used_is_refused_in_words(tmp_path: Path) -> None:
    made, other = certificates.make(tmp_path / "one"), certificates.make(tmp_path / "two")
    locked = certificates.make(tmp_path / "three", password=b"hush")
    assert "tls_cert is set and tls_key isn't" in refusal(tmp_path, "--tls-cert", made.cert)
    assert "tls_key is set and tls_cert isn't" in refusal(tmp_path, "--tls-key", made.key)
    for cert, key, words in (
        (made.cert, other.key, "expected a certificate and its own key"),
        (made.key, made.cert, "expected a certificate and its own key"),
        (made.cert, tmp_path / "nothing.pem", "can't be read: No such file"),
        (locked.cert, locked.key, "is encrypted; expected a key without a password"),
    ):
        assert words in refusal(tmp_path, "--tls-cert", cert, "--tls-key", key)
