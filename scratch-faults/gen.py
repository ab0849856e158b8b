import sys, time, pickle, warnings
warnings.simplefilter("ignore")
from datetime import datetime, UTC, timedelta
import numpy as np
from src.simulator.fleet import Fleet
from src.simulator.truth import fault_reports
from src.simulator.faults import FAULT_KINDS
from src.faults.episodes import Episode, features
seed, devices, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
start=datetime(2024,3,1,tzinfo=UTC); days=21
fleet=Fleet.plan(seed=seed,devices=devices,sites=max(4,devices//20),start=start,days=days,faults=0.5)
reps=fault_reports(fleet,start+timedelta(days=days))
rows=[];t0=time.time()
for r in reps.iter_rows(named=True):
    if FAULT_KINDS[r["kind"]].where in("device","site"): continue
    group=next(g for g in fleet.groups if g.has(r["device_id"]))
    a=int((r["start"]-start).total_seconds()//60)
    b=min(days*1440, int((r["end"]-start).total_seconds()//60) if r["end"] else days*1440)
    lo=max(0,a-7*1440)
    v=fleet.values(group.model.name,lo,b-lo,np.array([group.place(r["device_id"])]))[:,0]
    ts=int(start.timestamp()*1000)+(lo+np.arange(b-lo))*60000
    sent=~np.isnan(v).all(axis=1)
    f=features(Episode(v[sent],ts[sent],int(sent[:a-lo].sum()),60000))
    names=group.model.type.sensor_names
    rows.append(dict(kind=r["kind"],type=group.model.name,device=r["device_id"],effect=r["effect_spreads"],sensors=r["sensors"],severity=r["severity"],suspect=names[int(f["suspect"])],f=f))
print(len(rows),time.time()-t0, time.process_time())
pickle.dump(rows,open(out,"wb"))
