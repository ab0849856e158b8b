import sys, collections
incl=collections.Counter(); leaf=collections.Counter(); thr=collections.Counter(); tot=0
filt = sys.argv[2] if len(sys.argv)>2 else None
for line in open(sys.argv[1]):
    st, n = line.rsplit(" ",1); n=int(n); fr=st.split(";")
    if filt and filt not in fr[0] : continue
    tot+=n; thr[fr[0]]+=n
    for f in {x.rsplit(":",1)[0] for x in fr}: incl[f]+=n
    leaf[fr[-1]]+=n
print("total",tot)
for k,v in thr.most_common(12): print("T %5.1f%% %s"%(100*v/tot,k))
for k,v in incl.most_common(70): print("I %5.1f%% %s"%(100*v/tot,k))
for k,v in leaf.most_common(40): print("L %5.1f%% %s"%(100*v/tot,k))
