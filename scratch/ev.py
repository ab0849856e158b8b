import sys, pickle, time, numpy as np, logging
from dataclasses import replace
from faultwatch.benchmarks import protocol_fleet as pf, fleet_alerts as fa, fleet_events as fe
from faultwatch.detection.blocks import Block, TrainingRows
import faultwatch; print(faultwatch.__path__)
n, seed = int(sys.argv[1]), int(sys.argv[2]); only = sys.argv[3:] or ["pump_station","refrigerated_display","solar_inverter"]
from multiprocessing import Pool
def one(name):
    v = np.load(f"/work/scratch/c_{n}_{seed}_{name}.npy", mmap_mode="r"); m = pickle.load(open(f"/work/scratch/c_{n}_{seed}_{name}.pkl","rb"))
    scale = m["scale"]; D = v.shape[1]
    def block(a, b, members=None):
        x = np.asarray(v[a:b] if members is None else v[a:b][:, members], np.float64)
        nm, nd, ns = x.shape
        flat = x.reshape(-1, ns); sent = ~np.isnan(flat).all(axis=1)
        slots = np.tile(np.arange(nd, dtype=np.int32), nm)[sent]
        ts = np.repeat(m["start"] + (a+np.arange(nm, dtype=np.int64))*60000, nd)[sent]
        return Block(slots, ts, np.ascontiguousarray(flat[sent]))
    st_=np.asarray(m["sites"]); from faultwatch.detection.fitting import chosen_devices; some = np.flatnonzero(chosen_devices(st_.astype(np.int64), 40)); print(name, len(some), "taught of", len(np.unique(st_[some])), "sites")
    b = block(0, scale.learn_days*1440, some)
    extra = {}
    import inspect
    if "site" in inspect.signature(TrainingRows).parameters: extra = dict(site=np.asarray(m["sites"])[some][b.slots])
    tr = TrainingRows(device=b.slots.astype(np.int64), ts=b.ts, values=b.values, interval_ms=60000, sensor_names=m["sensors"], precisions=m["prec"], **extra)
    t=time.time()
    kw = dict(sites=np.asarray(m["sites"])) if "sites" in inspect.signature(fa.watch).parameters else {}
    alerts, secs, rows = fa.watch(tr, (block(d*1440,(d+1)*1440) for d in range(v.shape[0]//1440)), m["ids"], scale.learn_days, **kw)
    tot = time.time()-t
    fd = sum(f.end_ms-max(f.start_ms,0) for f in m["faults"])/86400e3
    w = pf.Watched(seed, name, D, alerts, m["faults"], D*(v.shape[0]//1440-scale.learn_days)-fd, secs, rows)
    return w, tot
if __name__ == "__main__":
    with Pool(2) as p: out = p.map(one, only, chunksize=1)
    ws=[]
    for w, tot in out:
        ws.append(w); s = fe.summary([w]); big=[e for e in fe.events_of(w) if (e.fault.effect or 0)>=3]
        print(f"{w.type_name:22s} large {s['large_faults']:3d} recall {s['event_recall_opened']} named {s['named_in_top_three']} steps {s['median_minutes_of_steps']} drifts {s['median_minutes_of_drifts']} false {s['false_alerts']} of budget {w.device_days/30:.0f} ({w.device_days:.0f} dd) rows/s {s['rows_per_s']} {tot:.0f}s")
        from collections import Counter
        print("   missed:", Counter(e.fault.kind for e in big if e.minutes is None), " false by top sensor:", Counter(a.sensors[0] for a in fe.false_alerts(w)).most_common(5), "by device", Counter(a.device for a in fe.false_alerts(w)).most_common(4))
    s = fe.summary(ws); print({k: s[k] for k in s if k not in ("rows","false_alerts_by_type")})
    print(fe.kinds_table([fe.by_kind(k,e) for k,e in fe.kinds(ws)]))
    pickle.dump(ws, open("/work/scratch/last.pkl","wb"))
