import sys, time
sys.path.insert(0,"/work/h-gate")
import numpy as np
from src.benchmarks.made_fleet import MadeFleet
from src.detection.blocks import TrainingRows
from src.detection.config import DetectorConfig
from src.detection.detector import Detector
f=MadeFleet(200,8,1_700_000_000_000//60000*60000)
import threading
for k,(dev,mins) in enumerate([(200,22),(200,22),(20,216),(200,216)]):
    vals=np.concatenate([f.values(np.arange(dev),m) for m in range(mins)]); ts=np.repeat(f.start_ms+np.arange(mins)*60000,dev); keys=np.tile(np.arange(dev),mins)+1
    rows=TrainingRows(device=keys,ts=ts,values=vals,interval_ms=60000,sensor_names=f.device_type.sensor_names,precisions=np.full(8,np.nan))
    b=time.perf_counter(); c=time.process_time()
    ticks=[0]; gap=[0.0]; stop=threading.Event()
    def ticker():
        last=time.perf_counter()
        while not stop.wait(0.005):
            n=time.perf_counter(); gap[0]=max(gap[0],n-last); last=n; ticks[0]+=1
    t=threading.Thread(target=ticker); t.start()
    try: d=Detector(DetectorConfig(learn_readings=300)).fit(rows)
    except Exception as e: print(e)
    stop.set(); t.join()
    print(dev*mins,"fit s",round(time.perf_counter()-b,2),"cpu",round(time.process_time()-c,2),"ticks",ticks[0],"longest gap",round(gap[0],3))
