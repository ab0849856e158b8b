import sys, time, cProfile, pstats, json
sys.path.insert(0,"/work/h-gate")
from pathlib import Path
import shutil
from src.benchmarks.load_bodies import read_bodies
from src.service.decode import decode
from src.service.directory import Directory
from src.service.judging import Judge
from src.service.intake import _records
from src.telemetry.quality import LiveLimits
from src.fleet.registry import Registry
from src.fleet.database import connect
from src.fleet.tokens import TokenInfo
from src.telemetry.log import LogWriter
from src.settings import Settings
import numpy as np
B=Path("/work/scratch/h_gate_row/data0")
eng=connect(Settings(data=B).database_url)
import inspect
reg=Registry(eng) 
d=Directory(reg)
j=Judge(d, np.zeros(0,np.int64), LiveLimits())
tok=TokenInfo(1,1,True,None)
paths=[Path(f"/work/scratch/h_gate_row/requests-{n}") for n in range(64)]
its=[read_bodies(p) for p in paths]
groups=[]
for g in range(200):
    groups.append([next(i)[0] for i in its])
name="made"
from src.fleet import models
name=[t.name for t in d.types.values()][0]
dec=[[(tok,decode(b,"application/json",name,1000)) for b in g] for g in groups]
now=int(time.time()*1000)
def run(part):
    for g in part:
        jd=j.judge(g,now)
        assert jd.counts[0].accepted==1, jd.counts[0]
        for t in jd.taken: j.remember(t.readings,t.unchecked,now)
run(dec[:20])
b=time.perf_counter(); c=time.process_time(); run(dec[20:120]); print("wall us/row",(time.perf_counter()-b)/100/64*1e6,"cpu",(time.process_time()-c)/100/64*1e6)
if len(sys.argv)>1:
    pr=cProfile.Profile(); pr.enable(); run(dec[120:]); pr.disable()
    pstats.Stats(pr).sort_stats("cumtime").print_stats(45)
