"""Every route x every role x own and another owner's: what is another's doesn't exist, and only who may acts.

A route that this table doesn't know fails the test: whoever adds one says here who may use it.
"""

from contextlib import closing

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from .conftest import Running, app_of
from .world import World


def about(world: World, route: str, own: bool) -> dict[str, str]:
    """What a route's parameters stand for, of the owner's own things or another's; what is removed is spare."""
    spare = route.endswith("/remove")
    ids = {name: str(pair[0 if own else 1]) for name, pair in world.settings_ids.items()}
    return {
        "user_id": ids["user"],
        "token_id": ids["token"],
        "channel_id": ids["spare channel" if spare else "channel"],
        "notice_id": ids["notice"],
        "type_id": str(world.types["pump_station"]),
        "device_id:path": world.suspect if own else "moor-2",
        "alert_id": str(world.alerts["inverter" if own else "other"]),
        "report_id": str(world.reports["own" if own else "other"]),
        "rule_id": str(world.rules[("spare " if spare else "") + ("own" if own else "other")]),
        "token": "no-such-link",
    }


RULE = {"type": "pump_station", "sensor": "flow", "value": 1.0, "owner": "OWNER"}

# kind, and for posts what is sent. "look" is for who is signed in; "read" for the API as well; "act" changes something,
# "manage" what owners and admins set, "set" the same by a form, "administer" a form for admins, "operate" one
# for who sees all owners.
ROUTES: dict[str, tuple[str, dict[str, object]]] = {
    "GET /healthz": ("public", {}),
    "GET /api/v1/openapi.json": ("public", {}),
    "GET /sign-in": ("public", {}),
    "POST /sign-in": ("public", {"email": "nobody@example.com", "password": "wrong wrong wrong"}),
    "GET /setup/{token}": ("link", {}),
    "POST /setup/{token}": ("link", {"email": "x@example.com", "password": "long enough, surely", "name": "X"}),
    "POST /sign-out": ("leave", {}),
    "GET /": ("look", {}),
    "GET /devices": ("look", {}),
    "GET /alerts": ("look", {}),
    "GET /devices/{device_id:path}": ("look", {}),
    "POST /alerts/bulk": ("form", {"act": "acknowledge"}),
    "POST /alerts/{alert_id}/acknowledge": ("form", {}),
    "POST /alerts/{alert_id}/silence": ("form", {"minutes": 60}),
    "POST /alerts/{alert_id}/end-silence": ("form", {}),
    "POST /alerts/{alert_id}/confirm": ("form", {"kind": "leak"}),
    "POST /alerts/{alert_id}/dismiss": ("form", {"reason": "normal_operation"}),
    "POST /alerts/{alert_id}/repaired": ("form", {}),
    "POST /devices/{device_id:path}/repaired": ("form", {}),
    "POST /devices/{device_id:path}/maintenance": ("form", {"reason": "look"}),
    "GET /models": ("look", {}),
    "POST /models/fault-kinds/promote": ("operate", {"version": 9}),
    "POST /models/fault-kinds/rollback": ("operate", {}),
    "POST /models/{type_id}/promote": ("operate", {"version": 9}),
    "POST /models/{type_id}/rollback": ("operate", {}),
    "GET /settings": ("look", {}),
    "GET /quality": ("look", {}),
    "GET /fault-reports": ("look", {}),
    "POST /fault-reports/{report_id}/take-back": ("form", {}),
    "POST /devices/{device_id:path}/fault-reports": ("form", {"kind": "leak", "from": "2024-01-01T00:00:00Z"}),
    "POST /fault-reports": ("form", {"file": "DEVICE"}),
    "GET /api/v1/fault-reports": ("read", {}),
    "POST /api/v1/fault-reports": ("act", {"csv": "device_id,kind,start\nDEVICE,leak,2024-01-02T00:00:00Z"}),
    "POST /api/v1/fault-reports/{report_id}/take-back": ("act", {}),
    "POST /api/v1/devices/{device_id:path}/fault-reports": (
        "act",
        {"kind": "leak", "from": "2024-01-01T00:00:00Z", "until": "2024-01-02T00:00:00Z"},
    ),
    "GET /api/v1/quality": ("read", {}),
    "POST /settings/people": (
        "administer",
        {"email": "new@example.com", "password": "long enough, surely", "role": "operator"},
    ),
    "POST /settings/people/{user_id}/password": ("administer", {"password": "long enough, surely"}),
    "POST /settings/people/{user_id}/role": ("administer", {"role": "operator"}),
    "POST /settings/people/{user_id}/disable": ("administer", {}),
    "POST /settings/people/{user_id}/enable": ("administer", {}),
    "POST /settings/owners": ("administer", {"name": "South Mill"}),
    "POST /settings/tokens": ("set", {"name": "gateway", "owner": "OWNER"}),
    "POST /settings/tokens/{token_id}/revoke": ("set", {}),
    "POST /settings/channels": ("set", {"name": "desk", "address": "https://example.com/x", "owner": "OWNER"}),
    "POST /settings/channels/{channel_id}/remove": ("set", {}),
    "POST /settings/channels/{channel_id}/disable": ("set", {}),
    "POST /settings/channels/{channel_id}/enable": ("set", {}),
    "POST /settings/channels/{channel_id}/test": ("form", {}),
    "POST /settings/notices/{notice_id}/again": ("form", {}),
    "POST /settings/types/{type_id}/silence": ("administer", {"intervals": 7}),
    "POST /settings/rules": ("set", {"about": "pump_station.flow", "value": "1", "owner": "OWNER"}),
    "POST /settings/rules/{rule_id}/remove": ("set", {}),
    "POST /settings/maintenance": ("form", {"device": "DEVICE", "owner": "OWNER"}),
    "GET /api/v1/devices": ("read", {}),
    "GET /api/v1/devices/{device_id:path}": ("read", {}),
    "GET /api/v1/devices/{device_id:path}/readings": ("read", {}),
    "GET /api/v1/alerts": ("read", {}),
    "GET /api/v1/alerts/{alert_id}": ("read", {}),
    "GET /api/v1/fleet": ("read", {}),
    "GET /api/v1/fleet/grid": ("read", {}),
    "GET /api/v1/fleet/day": ("read", {}),
    "GET /api/v1/events": ("stream", {}),
    "GET /api/v1/rules": ("read", {}),
    "GET /api/v1/rules/{rule_id}": ("read", {}),
    "POST /api/v1/rules": ("manage", RULE),
    "POST /api/v1/rules/{rule_id}/remove": ("manage", {}),
    "POST /api/v1/alerts/{alert_id}/acknowledge": ("act", {}),
    "POST /api/v1/alerts/{alert_id}/silence": ("act", {"until": "LATER"}),
    "POST /api/v1/alerts/{alert_id}/confirm": ("act", {"kind": "leak"}),
    "POST /api/v1/alerts/{alert_id}/dismiss": ("act", {"reason": "normal_operation"}),
    "POST /api/v1/alerts/{alert_id}/repaired": ("act", {}),
    "POST /api/v1/devices/{device_id:path}/maintenance": ("act", {"reason": "look"}),
    "POST /api/v1/devices/{device_id:path}/repaired": ("act", {}),
}
ROLES = ("viewer", "read token", "write token", "nobody", "owner", "operator", "admin")
SEES_ALL = ("operator", "admin")
SIGNED_IN = ("viewer", "owner", "operator", "admin")


def routes_of(world: World) -> set[str]:
    """Every route of the application as "METHOD path"."""
    contexts = iter_route_contexts(app_of(world).routes)
    return {
        f"{method} {context.path}" for context in contexts for method in (context.methods or set()) if method != "HEAD"
    }


def test_the_table_knows_every_route(template: World) -> None:
    assert routes_of(template) == set(ROUTES)


def client_of(calm_server: Running, role: str) -> httpx.Client:
    """Somebody of that role of the first owner."""
    if role in SIGNED_IN:
        return calm_server.sign_in(role)
    token = {"read token": "read", "write token": "write"}.get(role)
    headers = {"Authorization": f"Bearer {calm_server.world.tokens[token]}"} if token else {}
    return httpx.Client(base_url=calm_server.url, headers=headers, timeout=20)


def expected(kind: str, role: str, own: bool, with_subject: bool) -> set[int]:
    """The statuses that are right."""
    done = {"form": {303, 409}, "set": {200, 303, 409}, "act": {200, 409}, "manage": {200, 404}}.get(kind, {200})
    if kind == "set":
        done |= {404} if role in SEES_ALL else set()  # somebody of the walk before has removed it
    if kind in ("look", "form", "set", "administer", "operate") and role not in SIGNED_IN:
        return {303}  # to the sign-in page
    if kind == "operate":
        return {409} if role in SEES_ALL else {403}  # this world has no model to act on
    if kind == "administer":
        return {200, 303, 409} if role == "admin" else {403}
    if kind in ("read", "act", "manage", "stream") and role == "nobody":
        return {401}
    if kind in ("read", "act", "manage", "stream") and role == "write token":
        return {403}
    if kind in ("manage", "set") and role in ("viewer", "read token"):
        return {403} if own else {403, 404}
    if with_subject and not own and role not in SEES_ALL:
        return {404}
    if kind in ("form", "act") and role in ("viewer", "read token"):
        return {403}
    if kind in ("manage", "set") and role == "operator":
        return {403, 404}
    return done


def send(client: httpx.Client, world: World, route: str, own: bool) -> httpx.Response:
    """Ask as a browser's form or as a script would."""
    method, path = route.split(" ", 1)
    kind, body = ROUTES[route]
    for name, value in about(world, route, own).items():
        path = path.replace("{" + name + "}", value)
    if kind == "stream":
        with client.stream(method, path) as answer:
            if answer.status_code != 200:
                answer.read()
            return answer
    if method == "GET":
        return client.get(path)
    if path.endswith("/bulk"):
        body = {**body, "ids": about(world, route, own)["alert_id"]}
    owner = "Harbour Water" if own else "North Grid"
    said = {"OWNER": owner, "DEVICE": about(world, route, own)["device_id:path"]}
    body = {name: said.get(str(value), value) for name, value in body.items()}
    if "csv" in body:
        body = {"csv": str(body["csv"]).replace("DEVICE", said["DEVICE"])}
    if "file" in body:
        file = f"device_id,kind,start\n{body.pop('file')},leak,2024-01-03T00:00:00Z\n"
        token = client.headers.get("X-CSRF-Token", "")
        return client.post(path, data={"csrf_token": token, "back": "/"}, files={"file": ("reports.csv", file)})
    if kind in ("act", "manage"):
        later = "2999-01-01T00:00:00Z"  # too far ahead: an answer of 422 says that it was allowed so far
        return client.post(path, json={name: later if value == "LATER" else value for name, value in body.items()})
    return client.post(path, data={**body, "csrf_token": client.headers.get("X-CSRF-Token", ""), "back": "/"})


@pytest.mark.parametrize("role", ROLES)
def test_who_may_what(calm_server: Running, role: str) -> None:
    wrong = []
    with closing(client_of(calm_server, role)) as client:
        for route, (kind, body) in ROUTES.items():
            if kind in ("public", "link", "leave"):
                continue
            for own in (True, False):
                with_subject = "{" in route or route.endswith("/bulk") or "OWNER" in body.values()
                if not own and not with_subject:
                    continue
                answer = send(client, calm_server.world, route, own)
                right = expected(kind, role, own, with_subject)
                if route.endswith("/api/v1/alerts/{alert_id}/silence") and 200 in right:
                    right = right | {422}
                if route.endswith("/take-back") and right & {200, 303}:
                    right = right | {404}  # somebody of the walk before has taken it back
                where = f"{role}, {'own' if own else 'other'}: {route}"
                if answer.status_code not in right:
                    wrong.append(f"{where} answered {answer.status_code}, expected {sorted(right)}")
                if kind in ("look", "form", "set", "administer", "operate") and role not in SIGNED_IN:
                    assert answer.headers["location"].startswith("/sign-in"), where
                hidden = own and role not in SEES_ALL and kind in ("read", "look") and answer.status_code == 200
                if hidden and "moor" in answer.text.lower():
                    wrong.append(f"{where} tells of another owner's devices")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_done_without_the_sessions_own_token(calm_server: Running) -> None:
    client = calm_server.sign_in("admin")
    client.headers.pop("X-CSRF-Token")
    for route, (kind, _) in ROUTES.items():
        if kind in ("form", "act", "manage", "set", "administer", "leave"):
            answer = send(client, calm_server.world, route, True)
            assert answer.status_code == 403, f"{route} answered {answer.status_code}"
            assert "page of your session" in answer.json()["detail"]
    client.close()


def test_a_sign_in_from_another_site_is_refused(calm_server: Running) -> None:
    sent = {"email": "admin@example.com", "password": "correct horse battery"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = httpx.post(f"{calm_server.url}/sign-in", data=sent, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_set_up_link_that_does_not_hold_leads_nowhere(calm_server: Running) -> None:
    assert httpx.get(f"{calm_server.url}/setup/guessed").status_code == 404
    sent = {"email": "x@example.com", "password": "long enough, surely", "name": "X"}
    assert httpx.post(f"{calm_server.url}/setup/guessed", data=sent).status_code == 404


def test_a_sign_in_goes_on_to_this_site_only(calm_server: Running) -> None:
    sent = {"email": "owner@example.com", "password": "correct horse battery"}
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = httpx.post(f"{calm_server.url}/sign-in", data={**sent, "next": target})
        assert answer.headers["location"] == "/"
