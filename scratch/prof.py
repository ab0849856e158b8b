import sys, pickle, numpy as np
from faultwatch.detection.blocks import Block
from faultwatch.detection import kernel as at
np.set_printoptions(precision=2, suppress=True, linewidth=200)
name,s=sys.argv[1],int(sys.argv[2])
v = np.load(f"/work/scratch/c_300_5_{name}.npy", mmap_mode="r"); m = pickle.load(open(f"/work/scratch/c_300_5_{name}.pkl","rb"))
det=pickle.load(open(f"/work/scratch/det_{name}/detector.pkl","rb"))
sites=np.asarray(m["sites"]); sel=np.concatenate([np.flatnonzero(sites==g)[:8] for g in np.unique(sites)])
st=det.new_state(len(sel)); st.place(sites[sel]); sc=det.arrays_["scale"][s,1]
for day in range(14):
    x=np.asarray(v[day*1440:(day+1)*1440][:,sel]); nm,nd,ns=x.shape; flat=x.reshape(-1,ns).astype(float); sent=~np.isnan(flat).all(axis=1)
    b=Block(np.tile(np.arange(nd,dtype=np.int32),nm)[sent], np.repeat(m["start"]+(day*1440+np.arange(nm,dtype=np.int64))*60000,nd)[sent], np.ascontiguousarray(flat[sent]))
    z=det.warm(st,b)
    if day in (0,6,13):
        r=(b.values[:,s]-z.centre[:,s])/sc; h=(b.ts//3600000)%24
        for g in np.unique(sites):
            own=sites[sel][b.slots]==g
            print("day",day,"site",g, np.array([np.sqrt(np.nanmean(np.minimum(r[own&(h==k)]**2,25))) for k in range(24)]))
