"""Prepare once, run many: one row a request."""
import shutil, sys, time, os, subprocess, json
from pathlib import Path
import numpy as np
sys.path.insert(0, "/work/h-gate")
from src.benchmarks import throughput as t
from src.benchmarks.made_fleet import MadeFleet, MINUTE_MS

BASE = Path("/work/scratch/h_gate_row")
def main():
    load = t.Load(devices=2000, sensors=8, minutes=20, form="json-rows", rows_per_request=1)
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
    conns = int(os.environ.get("CONNS", 128))
    t_ = None; paths = [BASE / f"requests-{n}" for n in range(2 * conns)]
    files = [paths[at::2] for at in range(2)]
    spy = None
    with t.server_on(data) as server:
        st0, cpu0, b = server.stages(), server.cpu_s(), time.perf_counter()
        if len(sys.argv) > 1:
            spy = subprocess.Popen(["py-spy" if not os.environ.get("PYSPY") else os.environ["PYSPY"], "record", "-p", str(server.process.pid), "-d", "15", "-r", "200", "-f", "raw", "-o", sys.argv[1], *sys.argv[2:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        import resource
        c0 = resource.getrusage(resource.RUSAGE_CHILDREN)
        t.send_all(server.url, s["token"], load, [[],[]], fleet.device_type.name)
        c1 = resource.getrusage(resource.RUSAGE_CHILDREN); start = c1.ru_utime+c1.ru_stime-c0.ru_utime-c0.ru_stime
        b = time.perf_counter(); cpu0 = server.cpu_s(); st0 = server.stages()
        ch0 = resource.getrusage(resource.RUSAGE_CHILDREN)
        sent = t.send_all(server.url, s["token"], load, files, fleet.device_type.name)
        sec = sent.seconds
        ch1 = resource.getrusage(resource.RUSAGE_CHILDREN)
        q = server.drain(data)
        st = {k: v - st0[k] for k, v in server.stages().items()}
        cpu = server.cpu_s() - cpu0
        th = {}
        for t_ in Path(f"/proc/{server.process.pid}/task").iterdir():
            f = (t_ / "stat").read_text(); name = f[f.index("(")+1:f.rindex(")")]; x = f.rpartition(")")[2].split()
            th[name] = [th.get(name,[0,0])[0] + int(x[11])*10000/sent.requests, th.get(name,[0,0])[1] + int(x[12])*10000/sent.requests]
        from src.telemetry.published import PublishedReader
        seq = PublishedReader(data / "published" / "shard-0").clock().last_seq
    if spy: spy.wait()
    lat = np.array(sent.latencies) * 1000
    n = sent.requests
    print(json.dumps({"req/s": round(n / sec), "cpu_us": round(cpu / n * 1e6), "sender_us": round((-start + ch1.ru_utime+ch1.ru_stime-ch0.ru_utime-ch0.ru_stime)/n*1e6),
      "p50": round(float(np.quantile(lat, .5)),1), "p99": round(float(np.quantile(lat,.99)),1), "q": q, "acc": sent.accepted,
      "stages_us": {k: round(v / n * 1e6, 1) for k, v in st.items()}, "records": seq, "threads": {k: [round(a) for a in v] for k, v in sorted(th.items(), key=lambda x: -sum(x[1]))[:8]}, "other": round((cpu - sum(st.values()))/n*1e6)}))
if __name__ == "__main__":
    main()
