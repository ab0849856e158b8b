import glob, time, io, polars as pl
f=glob.glob("/work/scratch/h_gate_pages/data/lake/readings/**/*.parquet",recursive=True)
b=time.process_time(); df=pl.read_parquet(f); print("read",round(time.process_time()-b,2), df.shape, df.schema)
n=df.height/1e6
b=time.process_time(); df=df.sort("device_key","timestamp",maintain_order=True); print("sort /M",round((time.process_time()-b)/n,2))
b=time.process_time(); df.rechunk(); print("rechunk", round((time.process_time()-b)/n,2))
for comp,l in (("zstd",1),("zstd",3),("zstd",-1),("lz4",None),("snappy",None)):
    for rg in (122_880,):
        o=io.BytesIO(); b=time.process_time()
        try: df.write_parquet(o,compression=comp,compression_level=l,row_group_size=rg)
        except Exception as e: print(comp,l,e); continue
        print(comp,l,rg,"cpu/M",round((time.process_time()-b)/n,2),"bytes/row",round(o.tell()/df.height,1))
for c in df.columns:
    o=io.BytesIO(); b=time.process_time(); df.select(c).write_parquet(o,compression="zstd",compression_level=1); print(c,"cpu/M",round((time.process_time()-b)/n,3),"B/row",round(o.tell()/df.height,2))
o=io.BytesIO(); b=time.process_time(); df.write_parquet(o,compression="zstd",compression_level=1,statistics=False); print("nostat",round((time.process_time()-b)/n,2))
