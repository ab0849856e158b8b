"""Try a service that was just deployed: `python -m scripts.smoke https://faults.example.com`."""

import argparse
import sys
import time

import httpx

EVERY_S = 2.0


def troubles(client: httpx.Client) -> list[str]:
    """What is wrong with a service, a line each; none where a person and a device would find it working."""
    found = []
    for path, wanted, content in (
        ("/healthz", 200, '"status":"ok"'),
        ("/readyz", 200, '"ready":true'),
        ("/sign-in", 200, "<form"),
    ):
        answer = client.get(path)
        if answer.status_code != wanted or content not in answer.text:
            found.append(f"GET {path}: {answer.status_code} {answer.text[:200]!r}; expected {wanted} with {content!r}")
    refused = client.post("/api/v1/readings", json={"type": "none", "rows": []})
    if refused.status_code != 401:
        found.append(f"POST /api/v1/readings without a token: {refused.status_code}; expected the gateway's 401")
    return found


def try_until(url: str, within_s: float) -> list[str]:
    """The troubles of a service, asked again until there are none or the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            with httpx.Client(base_url=url, timeout=10, follow_redirects=False) as client:
                found = troubles(client)
        except httpx.HTTPError as error:
            found = [f"{url} does not answer: {str(error) or type(error).__name__}"]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(EVERY_S)


def main() -> int:
    """Try a service; the exit code: 0 it works, 1 it doesn't."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where people reach it")
    parser.add_argument("--within", type=float, default=180, metavar="SECONDS", help="how long it may take to be ready")
    given = parser.parse_args()
    found = try_until(given.url, given.within)
    for line in found:
        print(line)
    print(f"{given.url} {'does not work' if found else 'works'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
