"""`make comment`: one comment an environment on a pull request, written over when the plan is a new one."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from scripts.plan_comment import LONGEST, body_of, marker, put

from ..checkout import ROOT, run

PLAN = "aws_s3_bucket.this will be created\n\nPlan: 1 to add, 0 to change, 0 to destroy.\n"


class Comments(BaseHTTPRequestHandler):
    """The comments of pull request 7 as GitHub's API has them, two a page."""

    bodies: dict[int, str] = {}

    def do_GET(self) -> None:
        """A page of comments, with the address of the next."""
        page = int((re.findall(r"[?&]page=(\d+)", self.path) or ["1"])[0])
        listed = list(self.bodies.items())
        following = f"http://{self.headers['Host']}/repos/o/r/issues/7/comments?page={page + 1}"
        link = {"Link": f'<{following}>; rel="next"'} if len(listed) > 2 * page else {}
        self._answer(200, [{"id": number, "body": body} for number, body in listed[2 * page - 2 : 2 * page]], link)

    def do_POST(self) -> None:
        """A new comment."""
        number = len(self.bodies) + 1
        self.bodies[number] = self._body()
        self._answer(201 if self.headers["Authorization"] == "Bearer t" else 403, {"id": number})

    def do_PATCH(self) -> None:
        """Another body for a comment."""
        number = int(self.path.rpartition("/")[2])
        self.bodies[number] = self._body()
        self._answer(200, {"id": number})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _body(self) -> str:
        return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

    def _answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def github() -> Iterator[str]:
    """The address of an API with nothing in it."""
    Comments.bodies = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Comments)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_second_plan_takes_the_place_of_the_first_on_whatever_page_it_is(github: str) -> None:
    Comments.bodies = {1: "a", 2: "b", 3: body_of("prod", "old"), 4: body_of("dev", "old")}
    with httpx.Client(base_url=f"{github}/repos/o/r/", headers={"Authorization": "Bearer t"}) as client:
        put(client, 7, "dev", body_of("dev", PLAN))
        put(client, 7, "staging", body_of("staging", PLAN))
    assert [body.splitlines()[0] for body in Comments.bodies.values()] == [
        "a",
        "b",
        marker("prod"),
        marker("dev"),
        marker("staging"),
    ]
    assert "**dev**: Plan: 1 to add, 0 to change, 0 to destroy." in Comments.bodies[4]


def test_the_verb_reads_the_plan_that_the_script_wrote(github: str) -> None:
    plan = ROOT / "infrastructure" / "environments" / "dev" / "plan.txt"
    line = f"infrastructure/environments/dev/{plan.name}"
    assert line in run(["make", "--dry-run", "comment", "ENVIRONMENT=dev"]).stdout
    assert ">plan.txt" in (ROOT / "scripts" / "infrastructure").read_text(encoding="utf-8")


def test_what_is_not_set_or_refused_is_told(github: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.txt"
    plan.write_text(PLAN, encoding="utf-8")
    command: list[str | Path] = [sys.executable, "-m", "scripts.plan_comment", "dev", plan]
    done = run(command, env={"PULL_REQUEST": "7", "GITHUB_TOKEN": "t", "GITHUB_REPOSITORY": ""})
    assert done.returncode == 2 and "GITHUB_REPOSITORY not set" in done.stderr
    place = {"PULL_REQUEST": "7", "GITHUB_REPOSITORY": "o/r", "GITHUB_API_URL": github}
    done = run(command, env={**place, "GITHUB_TOKEN": "wrong"})
    assert done.returncode == 1 and "403" in done.stderr
    assert run(command, env={**place, "GITHUB_TOKEN": "t"}).returncode == 0


def test_a_plan_that_is_too_long_is_cut_and_says_so() -> None:
    body = body_of("dev", "x" * (LONGEST + 5000))
    assert len(body) < 65_536 and "5000 characters more in the job's log" in body
