import sys, pickle, numpy as np
from dataclasses import replace
from faultwatch.benchmarks import protocol_fleet as pf
from faultwatch.simulator.fleet import Fleet
n, seed = int(sys.argv[1]), int(sys.argv[2])
scale = pf.Scale(devices=n, days=35, faults=0.5, learn_days=14, learn_devices=40, sample=90, seeds=(seed,))
fleet = Fleet.plan(seed=seed, devices=n, sites=max(4, n//20), start=pf.START, days=35, faults=0.5)
faults = pf.known_faults(fleet, scale)
for g in fleet.groups:
    parts = [fleet.values(g.model.name, d*1440, 1440, None) for d in range(35)]
    v = np.concatenate(parts).astype(np.float32)
    np.save(f"/work/scratch/c_{n}_{seed}_{g.model.name}.npy", v)
    sites = np.asarray(g.site_of) if hasattr(g, "site_of") else None
    pickle.dump(dict(ids=[str(x) for x in g.ids], faults=[f for f in faults if g.has(f.device)], scale=scale, sites=sites, sensors=g.model.type.sensor_names, prec=np.array([np.nan if s.precision is None else s.precision for s in g.model.type.sensors]), start=int(fleet.start.timestamp()*1000)), open(f"/work/scratch/c_{n}_{seed}_{g.model.name}.pkl","wb"))
    print(g.model.name, v.shape, sites is not None and sites[:10])
