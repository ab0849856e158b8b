import sys,pickle,warnings; warnings.simplefilter("ignore")
import numpy as np, lightgbm as lgb
from collections import Counter
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.model_selection import StratifiedKFold
rows=sum([pickle.load(open(p,"rb")) for p in sys.argv[1:]],[])
kinds=sorted({r["kind"] for r in rows}); types=sorted({r["type"] for r in rows})
names=[n for n in rows[0]["f"] if not n.startswith("named_") and n!="suspect"]
named=[n for n in rows[0]["f"] if n.startswith("named_")]
G=np.array([[float(r["f"].get(n,np.nan)) for n in names] for r in rows])
T=np.array([[r["type"]==t for t in types] for r in rows],float)
N=np.zeros((len(rows),len(types)*len(named)))
for i,r in enumerate(rows):
    k=types.index(r["type"])*len(named); N[i,k:k+len(named)]=[r["f"][n] for n in named]
y=np.array([kinds.index(r["kind"]) for r in rows]); eff=np.array([r["effect"] or 0 for r in rows])
sus=np.mean([r["suspect"] in r["sensors"] for r in rows]); print(len(rows),"suspect right",round(sus,3), G.shape)
X={"g":np.c_[G,T],"gn":np.c_[G,T,N]}
def cv(make,X,seeds=(0,1)):
    P=np.zeros((len(y),len(kinds)))
    for s in seeds:
        for a,b in StratifiedKFold(8,shuffle=True,random_state=s).split(X,y):
            P[b]+=make(X[a],y[a],X[b])
    return P/len(seeds)
def logi(C):
    def f(Xa,ya,Xb):
        Xa=np.nan_to_num(Xa);Xb=np.nan_to_num(Xb)
        sc=StandardScaler().fit(Xa); m=LogisticRegression(C=C,max_iter=500,class_weight="balanced").fit(np.clip(sc.transform(Xa),-4,4),ya)
        return m.predict_proba(np.clip(sc.transform(Xb),-4,4))
    return f
def gbm(n=150,leaves=7,mind=5):
    def f(Xa,ya,Xb):
        c=np.bincount(ya,minlength=len(kinds)); w=(len(ya)/len(kinds)/np.maximum(c,1))[ya]
        m=lgb.train(dict(objective="multiclass",num_class=len(kinds),learning_rate=0.06,num_leaves=leaves,min_data_in_leaf=mind,feature_fraction=0.25,bagging_fraction=0.8,bagging_freq=1,lambda_l2=1.0,verbose=-1,num_threads=1,seed=1),lgb.Dataset(Xa,ya,weight=w),n)
        return m.predict(Xb)
    return f
def et(Xa,ya,Xb):
    return ExtraTreesClassifier(300,min_samples_leaf=1,max_features=0.3,class_weight="balanced",n_jobs=1,random_state=1).fit(np.nan_to_num(Xa),ya).predict_proba(np.nan_to_num(Xb))
def acc(P,m=None):
    ok=P.argmax(1)==y; big=eff>=3
    return f"all {ok.mean():.3f} large {ok[big].mean():.3f} ({big.sum()}) mid>=1.5 {ok[eff>=1.5].mean():.3f}"
out={}
for nm,mk,x in [("logi g .02",logi(.02),"g"),("logi g .1",logi(.1),"g"),("gbm g",gbm(),"g"),("gbm gn",gbm(),"gn"),("et g",et,"g"),("et gn",et,"gn")]:
    out[nm]=cv(mk,X[x],(0,)); print(nm,acc(out[nm]),flush=True)
B=out["gbm g"]+out["et g"]+out["logi g .02"]; print("blend",acc(B))
B2=out["gbm gn"]+out["et gn"]+out["logi g .02"]; print("blend n",acc(B2))
C=np.zeros((len(kinds),)*2,int)
for a,b in zip(y,B.argmax(1)): C[a,b]+=1
print(" "*20,[k[:5] for k in kinds])
for k,row in zip(kinds,C): print(f"{k:20}",row, f"{row[kinds.index(k)]/row.sum():.2f}")
