import pickle, sys
from faultwatch.benchmarks import fleet_events as fe
ws=pickle.load(open("/work/scratch/last.pkl","rb")); name=sys.argv[1]
from datetime import datetime, UTC
t=lambda ms: datetime.fromtimestamp(ms/1000,UTC).strftime("%m-%d %H:%M")
for w in ws:
    if w.type_name!=name: continue
    for a in fe.false_alerts(w)[:int(sys.argv[2])]:
        near=[(f.kind,t(f.start_ms),t(f.end_ms)) for f in w.faults if f.device==a.device]
        print(a.device,t(a.opened_ms),a.sensors,near)
    print("MISSED")
    for e in fe.events_of(w):
        if (e.fault.effect or 0)>=3 and e.minutes is None: print(e.fault.device,e.fault.kind,t(e.fault.start_ms),t(e.fault.end_ms),e.fault.sensors,round(e.fault.effect,1))
    print("MISNAMED")
    for e in fe.events_of(w):
        if (e.fault.effect or 0)>=3 and e.minutes is not None and not e.named: print(e.fault.device,e.fault.kind,t(e.fault.start_ms),e.fault.sensors,round(e.fault.effect,1),e.minutes,[a.sensors for a in w.alerts if fe.belongs(a,e.fault)])
