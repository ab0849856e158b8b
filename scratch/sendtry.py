import sys, threading, socket, asyncio
sys.path.insert(0,"/work/h-gate")
from pathlib import Path
from src.benchmarks import load_sender as ls
import uvicorn
async def app(scope, receive, send):
    if scope["type"]!="http": return
    while (await receive()).get("more_body"): pass
    await send({"type":"http.response.start","status":200,"headers":[(b"content-length",b"14")]})
    await send({"type":"http.response.body","body":b'{"accepted":1}'})
s=socket.create_server(("127.0.0.1",0))
srv=uvicorn.Server(uvicorn.Config(app,log_config=None,lifespan="off"))
threading.Thread(target=srv.run,kwargs={"sockets":[s]},daemon=True).start()
r=ls.send("127.0.0.1",s.getsockname()[1],"x","application/json",[Path("/work/scratch/h_gate_row/requests-0"),Path("/work/scratch/h_gate_row/requests-2")],"pump")
print(r.requests, r.accepted)
