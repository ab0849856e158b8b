import time, threading, socket
import pytest
from src.tests.service import gate
from src.tests.service.loops import running, settings_of, until
from src.tests.service.test_live import PUMPS, HEALTHY, _await, said, Said
from src.tests.conftest import *
def test_x(tmp_path, moto_server, monkeypatch, said):
    settings = settings_of(tmp_path, lake_url=f"{moto_server.url}/lake")
    b=time.monotonic()
    def p(*a): print(round(time.monotonic()-b,1), *a)
    with gate.before(int(moto_server.endpoint.rpartition(":")[2])) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{way.port}")
        with running(settings) as loop:
            loop.send(PUMPS, HEALTHY)
            until(lambda: len(loop.rows()) == 360)
            p("rows"); way.shut(); 
            loop.send(PUMPS, range(60, 70)); p("sent")
            _await(said, "live.waiting", "lake"); p("waiting")
        p("ended")
        way.open()
        with running(settings) as loop:
            p("open again")
            until(lambda: len(loop.rows()) == 420)
            p("there")
    p("end")
