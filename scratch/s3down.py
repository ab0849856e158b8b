import sys, time, os
sys.path.insert(0,"/work/h-gate")
os.environ.update(AWS_ACCESS_KEY_ID="x",AWS_SECRET_ACCESS_KEY="y",AWS_REGION="us-east-1",AWS_ENDPOINT_URL="http://127.0.0.1:1",AWS_ALLOW_HTTP="true",AWS_CONDITIONAL_PUT="etag")
from src.telemetry.lake import Lake
opts=dict(a.split("=") for a in sys.argv[1:])
b=time.monotonic()
try: Lake("s3://bucket/lake",opts).committed(1,"shard-0")
except Exception as e: print(type(e).__name__, str(e)[:200])
print("took", round(time.monotonic()-b,1))
