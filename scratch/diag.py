import sys, pickle, numpy as np, time
sys.argv=[sys.argv[0],"300","5"]+sys.argv[1:]
from faultwatch.detection.blocks import Block, TrainingRows
from faultwatch.detection.detector import Detector
from faultwatch.detection import fitting, kernel as at
np.set_printoptions(precision=3, suppress=True, linewidth=170)
import inspect
names=sys.argv[3:] 
for name in names:
    v = np.load(f"/work/scratch/c_300_5_{name}.npy", mmap_mode="r"); m = pickle.load(open(f"/work/scratch/c_300_5_{name}.pkl","rb"))
    D=v.shape[1]; st_=np.asarray(m["sites"]); from faultwatch.detection.fitting import chosen_devices; some = np.flatnonzero(chosen_devices(st_.astype(np.int64), 40))
    x=np.asarray(v[:14*1440][:,some],float); nm,nd,ns=x.shape; flat=x.reshape(-1,ns); sent=~np.isnan(flat).all(axis=1)
    slots=np.tile(np.arange(nd),nm)[sent]; ts=np.repeat(m["start"]+np.arange(nm,dtype=np.int64)*60000,nd)[sent]
    kw={}
    if "site" in inspect.signature(TrainingRows).parameters: kw=dict(site=np.asarray(m["sites"])[some][slots])
    keep={}
    orig=fitting.norm if not hasattr(fitting,"_o") else fitting._o; fitting._o=orig
    def comb(rec):
        r=orig(rec); keep["comb"]=r; return r
    osz=fitting._osz if hasattr(fitting,"_osz") else fitting.sensor_sizes; fitting._osz=osz; fitting.sensor_sizes=lambda rec,*a: (keep.update(rec=rec,args=a), osz(rec,*a))[1]; fitting.norm=comb
    oe=fitting._oe if hasattr(fitting,"_oe") else fitting.event_rates; fitting._oe=oe
    def er(c,d,*a): keep["hc"]=c; keep["hd"]=d; return oe(c,d,*a)
    fitting.event_rates=er
    t=time.time(); det=Detector().fit(TrainingRows(slots,ts,flat[sent],60000,m["sensors"],m["prec"],**kw)); print(name, "fit", round(time.time()-t))
    a=det.arrays_; print("gaps",a["gaps"]); print("patterns\n",a["patterns"])
    for k in range(len(a["modes"])): print("mode",k,"\n",a["modes"][k].T)
    T=a["table"]; print("channels\n",T[:,at.CHANNELS:at.CHANNELS+at.N_CHANNELS].T,"\nbends\n",T[:,at.BENDS:at.BENDS+at.N_CHANNELS].T)
    print("joint scale",a["constants"][at.JOINT_SCALE],"enter",a["constants"][at.ENTER],"leave",a["constants"][at.LEAVE],"usual",det.usual_, "healthy devices", len(np.unique(keep["hd"])))
    print("sensors", m["sensors"])
    rec=keep["rec"]; ch,be=keep["args"][0],keep["args"][1]
    u=np.nan_to_num(rec[:,:,:at.N_CHANNELS]/ch); u=np.where(u>1,u**be,u)
    top=keep["comb"]>0.9*np.quantile(keep["comb"],1-1e-4); idx=u[top].reshape(top.sum(),-1).argmax(1)
    from collections import Counter
    print("top rows:", Counter((m["sensors"][i//at.N_CHANNELS], i%at.N_CHANNELS) for i in idx).most_common(8))
    print("levels at rates", [(r, round(det._level(r),2)) for r in (1,.3,.1,1/30,.01)])
    # with max per device
    mx=np.array([keep["hc"][keep["hd"]==d].max() for d in np.unique(keep["hd"])]); print("max per healthy device",np.sort(mx))
