exec(open("/work/scratch/st.py").read().split("for t in")[0])
x=np.asarray(v[:20000][:,[dev]]); flat=x.reshape(-1,8).astype(float); sent=~np.isnan(flat).all(axis=1)
b=Block(np.zeros(sent.sum(),np.int32), m["start"]+(np.flatnonzero(sent).astype(np.int64))*60000, np.ascontiguousarray(flat[sent]))
s=det.warm(st,b)
sc=det.arrays_["scale"]
z=(b.values-s.centre)/s.width*3
big=np.abs(z[:,1])>50
i=np.flatnonzero(big)[:3]; print("first", i, [ (b.ts[k]-m["start"])//60000 for k in i])
k=i[0]
for j in range(k-4,k+3): print((b.ts[j]-m["start"])//60000, b.values[j], "x",(b.values[j]-sc[:,0])/sc[:,1], "centre",(s.centre[j]-sc[:,0])/sc[:,1], "z", z[j])
for M in (0,1): print(det.arrays_["cross"][M][[1,7]])
