import sys, pickle, numpy as np
from faultwatch.detection.blocks import Block
from faultwatch.detection import kernel as at
np.set_printoptions(precision=2, suppress=True, linewidth=200)
name=sys.argv[1]; use=len(sys.argv)>2
v = np.load(f"/work/scratch/c_300_5_{name}.npy", mmap_mode="r"); m = pickle.load(open(f"/work/scratch/c_300_5_{name}.pkl","rb"))
det=pickle.load(open(f"/work/scratch/det_{name}/detector.pkl","rb"))
sites=np.asarray(m["sites"])
st=det.new_state(v.shape[1])
if not use: st.place(sites)
for day in range(14):
    x=np.asarray(v[day*1440:(day+1)*1440]); nm,nd,ns=x.shape; flat=x.reshape(-1,ns).astype(float); sent=~np.isnan(flat).all(axis=1)
    b=Block(np.tile(np.arange(nd,dtype=np.int32),nm)[sent], np.repeat(m["start"]+(day*1440+np.arange(nm,dtype=np.int64))*60000,nd)[sent], np.ascontiguousarray(flat[sent]))
    s=det.warm(st,b)
    if day in (0,1,3,13):
        S=np.sqrt(st.sensor[:,:,at.SPREAD]); print("day",day); 
        for g in np.unique(sites): print(g, (sites==g).sum(), np.median(S[sites==g],axis=0), "swing", np.sqrt(np.median(st.sensor[sites==g][:,:,at.SWING],axis=0)))
