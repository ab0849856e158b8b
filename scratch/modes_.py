import pickle, numpy as np
np.set_printoptions(precision=3, suppress=True, linewidth=170)
from faultwatch.detection import kernel as at
d=pickle.load(open("/work/scratch/det_solar_inverter/detector.pkl","rb")); a=d.arrays_
for m in range(2): print(a["modes"][m].T)
print("cross module home", a["cross"][0,1]); print("cross module night", a["cross"][1,1]); print("swung", np.sqrt(a["table"][:,at.SWUNG]))
