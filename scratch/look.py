import sys, pickle, numpy as np
from faultwatch.detection.blocks import Block, TrainingRows
from faultwatch.detection.detector import Detector
from faultwatch.benchmarks.fleet_alerts import joined
np.set_printoptions(precision=2, suppress=True, linewidth=220)
name, dev, day, h0, h1 = sys.argv[1], int(sys.argv[2])-1, int(sys.argv[3]), sys.argv[4], sys.argv[5]
v = np.load(f"/work/scratch/c_300_5_{name}.npy", mmap_mode="r"); m = pickle.load(open(f"/work/scratch/c_300_5_{name}.pkl","rb"))
def rows(x, first):
    nm,nd,ns=x.shape; flat=x.reshape(-1,ns).astype(float); sent=~np.isnan(flat).all(axis=1)
    return Block(np.tile(np.arange(nd,dtype=np.int32),nm)[sent], np.repeat(m["start"]+(first+np.arange(nm,dtype=np.int64))*60000,nd)[sent], np.ascontiguousarray(flat[sent]))
import os
f=f"/work/scratch/det_{name}"
st_=np.asarray(m["sites"]); from faultwatch.detection.fitting import chosen_devices; some = np.flatnonzero(chosen_devices(st_.astype(np.int64), 40))
import inspect
kw={}
if os.environ.get("REFIT") or not os.path.exists(f+"/detector.pkl"):
    b=rows(np.asarray(v[:14*1440][:,some]),0)
    if "site" in inspect.signature(TrainingRows).parameters: kw=dict(site=np.asarray(m["sites"])[some][b.slots])
    det=Detector().fit(TrainingRows(b.slots.astype(np.int64),b.ts,b.values,60000,m["sensors"],m["prec"],**kw)); os.makedirs(f,exist_ok=True); pickle.dump(det,open(f+"/detector.pkl","wb"))
det=pickle.load(open(f+"/detector.pkl","rb"))
peers=[dev]
if hasattr(det,"place_sites") or "site" in inspect.signature(TrainingRows).parameters: peers=[dev]+[d for d in range(v.shape[1]) if m["sites"][d]==m["sites"][dev] and d!=dev]
st=det.new_state(len(peers))
if len(peers)>1: st.place(0*np.asarray(m["sites"])[peers])
w=rows(np.asarray(v[:int(os.environ.get("WARM","14"))*1440][:,peers]),0); s=det.warm(st,w); det.take_habits(st,s,w.slots)
from faultwatch.detection import kernel as at
print("sensors",m["sensors"]); print("habits",1+st.habit[0]/85,"swing",np.sqrt(st.sensor[0,:,at.SWING]),"spread",np.sqrt(st.sensor[0,:,at.SPREAD]))
print("enter", det.threshold(1/30), det.arrays_["constants"][at.ENTER])
at_warm=int(os.environ.get("WARM","14"))*1440; a=at_warm; a2=day*1440+int(h0[:2])*60+int(h0[3:])
if a2>a: det.update(st, rows(np.asarray(v[a:a2][:,peers]),a))
e=day*1440+int(h1[:2])*60+int(h1[3:])
for t in range(a2,e):
    b=rows(np.asarray(v[t:t+1][:,peers]),t)
    s=det.update(st,b)
    if not len(b.slots) or b.slots[0]!=0: continue
    print(f"{t%1440//60:02d}:{t%60:02d} m{st.mode[0]} score {s.score[0]:.1f}{'*' if s.alarm[0] else ''}", "v",b.values[0],"z",(b.values[0]-s.centre[0])/s.width[0]*3,"share",s.contribution[0],"fast",st.sensor[0,:,at.FAST], "day", st.sensor[0,:,at.DAY] if os.environ.get("DAY") else "")
