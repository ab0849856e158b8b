import shutil, sys, time, os, subprocess, json
from pathlib import Path
import numpy as np
sys.path.insert(0, "/work/h-gate")
from concurrent.futures import ThreadPoolExecutor
from src.benchmarks import throughput as t, pages as pg
from src.benchmarks.made_fleet import MadeFleet, MINUTE_MS, BROKEN
BASE = Path("/work/scratch/h_gate_pages")
def main():
    load = t.Load(devices=20000, sensors=8, minutes=60, form="arrow", rows_per_request=int(os.environ.get("RPR", 2500)))
    start = BASE / "start.json"
    if not start.exists():
        BASE.mkdir(parents=True, exist_ok=True)
        start_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS - load.minutes * MINUTE_MS
        fleet = MadeFleet(load.devices, load.sensors, start_ms)
        p = t.in_a_child(t.prepare, BASE / "data0", fleet)
        start.write_text(json.dumps({"start": start_ms, "type": p.type_id, "token": p.token}))
        t.in_a_child(t.write_all, BASE, fleet, load)
    s = json.loads(start.read_text())
    fleet = MadeFleet(load.devices, load.sensors, s["start"])
    data = BASE / "data"
    shutil.rmtree(data, ignore_errors=True); shutil.copytree(BASE / "data0", data)
    paths_ = [BASE / f"requests-{n}" for n in range(4)]
    files = [paths_[at::2] for at in range(2)]
    paths = {"fleet": "/", "devices": "/devices", "device": f"/devices/{fleet.device_id(BROKEN)}", "alerts": "/alerts"}
    spy=None
    with t.server_on(data, "--role", "loop") as loop, t.server_on(data, "--role", "web") as web, pg._visitor(data, web) as pages:
        first = {n: pg._look(pages, p) for n, p in paths.items()}
        if len(sys.argv) > 1:
            spy = subprocess.Popen(["/work/scratch/spyenv/bin/py-spy", "record", "-p", str(web.process.pid), "-d", "12", "-r", "200", "-t", "-f", "raw", "--nonblocking", "-o", sys.argv[1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        c0 = web.cpu_s(); l0 = loop.cpu_s()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(t.send_all, loop.url, s["token"], load, files, fleet.device_type.name)
            seen = {n: [] for n in paths}; cpu = {n: 0.0 for n in paths}
            while not sending.done() or len(seen["fleet"]) < 20:
                for n, p in paths.items():
                    c = web.cpu_s(); seen[n].append(pg._look(pages, p)); cpu[n] += web.cpu_s() - c
            sent = sending.result()
        print(json.dumps({"first": {n: round(v) for n, v in first.items()}, "rows/s": round(sent.rows / sent.seconds), "looks": len(seen["fleet"]), "cpu_ms": {n: round(cpu[n]/len(seen[n])*1000) for n in seen},
           "p": {n: [t.quantile(np.array(v), .5), t.quantile(np.array(v), .95)] for n, v in seen.items()}, "web_cpu": round(web.cpu_s()-c0,1), "loop_cpu": round(loop.cpu_s()-l0,1)}))
        if spy: spy.wait()
if __name__ == "__main__":
    main()
