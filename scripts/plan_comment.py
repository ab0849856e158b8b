"""Put a plan on its pull request, in the one comment of its environment: `python -m scripts.plan_comment dev PLAN.txt`.

Which pull request, and with what right, the environment of a GitHub workflow says: GITHUB_API_URL, GITHUB_REPOSITORY,
PULL_REQUEST and GITHUB_TOKEN.
"""

import os
import sys
from pathlib import Path

import httpx

LONGEST = 60_000
"""Characters of a plan that are shown; GitHub takes comments of 65,536."""


def body_of(environment: str, plan: str) -> str:
    """The comment: the plan's last word first, all of it to unfold."""
    lines = [line for line in plan.splitlines() if line.strip()]
    verdict = next((line for line in reversed(lines) if line.startswith(("Plan:", "No changes."))), "see below")
    shown = (
        plan if len(plan) <= LONGEST else f"{plan[:LONGEST]}\n… {len(plan) - LONGEST} characters more in the job's log"
    )
    fence = "~~~~~~"
    return (
        f"{marker(environment)}\n**{environment}**: {verdict}\n\n<details><summary>the plan</summary>\n\n"
        f"{fence}\n{shown.replace(fence, '~~~')}\n{fence}\n\n</details>\n"
    )


def marker(environment: str) -> str:
    """What the comment of an environment is known again by."""
    return f"<!-- terraform plan of {environment} -->"


def put(client: httpx.Client, pull_request: int, environment: str, body: str) -> None:
    """Write the comment, or write over the one that is there. Raises HTTPStatusError where GitHub refuses."""
    path: str | None = f"issues/{pull_request}/comments?per_page=100"
    while path is not None:
        answer = client.get(path).raise_for_status()
        for comment in answer.json():
            if comment["body"].startswith(marker(environment)):
                client.patch(f"issues/comments/{comment['id']}", json={"body": body}).raise_for_status()
                return
        path = answer.links.get("next", {}).get("url")
    client.post(f"issues/{pull_request}/comments", json={"body": body}).raise_for_status()


def main() -> int:
    """Put the comment; the exit code: 0 it is there, 1 it is not."""
    if len(sys.argv) != 3:
        print("usage: python -m scripts.plan_comment ENVIRONMENT PLAN.txt", file=sys.stderr)
        return 2
    environment, file = sys.argv[1], Path(sys.argv[2])
    missing = [n for n in ("GITHUB_REPOSITORY", "GITHUB_TOKEN", "PULL_REQUEST") if not os.environ.get(n)]
    if missing:
        print(f"{', '.join(missing)} not set; expected what a workflow of a pull request sets", file=sys.stderr)
        return 2
    server = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    headers = {"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
    try:
        with httpx.Client(
            base_url=f"{server}/repos/{os.environ['GITHUB_REPOSITORY']}/", headers=headers, timeout=30
        ) as client:
            body = body_of(environment, file.read_text(encoding="utf-8"))
            put(client, int(os.environ["PULL_REQUEST"]), environment, body)
    except (httpx.HTTPError, OSError) as error:
        print(f"no comment was written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
