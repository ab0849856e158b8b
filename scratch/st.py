import sys, pickle, numpy as np
from faultwatch.detection.blocks import Block
from faultwatch.detection import kernel as at
np.set_printoptions(precision=2, suppress=True, linewidth=200)
name,dev=sys.argv[1],int(sys.argv[2])-1
v = np.load(f"/work/scratch/c_300_5_{name}.npy", mmap_mode="r"); m = pickle.load(open(f"/work/scratch/c_300_5_{name}.pkl","rb"))
det=pickle.load(open(f"/work/scratch/det_{name}/detector.pkl","rb"))
st=det.new_state(1)
for t in [int(x) for x in sys.argv[3:]]:
    n0=int(st.count[0]) if st.count[0] else 0
    last = (st.last[0]-m["start"])//60000+1 if st.count[0] else 0
    x=np.asarray(v[last:t][:,[dev]]); flat=x.reshape(-1,8).astype(float); sent=~np.isnan(flat).all(axis=1)
    b=Block(np.zeros(sent.sum(),np.int32), m["start"]+(last+np.flatnonzero(sent).astype(np.int64))*60000, np.ascontiguousarray(flat[sent]))
    s=det.warm(st,b)
    print(t, "mode",st.mode[0],"seen",st.seen[0],"v",b.values[-1],"z",(b.values[-1]-s.centre[-1])/s.width[-1]*3)
    for k,nm in ((at.LEVEL,"level"),(at.AWAY,"away"),(at.SLOW,"slow"),(at.SWING,"swing"),(at.SPREAD,"spread")): print("   ",nm,st.sensor[0,:,k])
