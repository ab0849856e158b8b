import polars as pl, time, sys
o={"aws_endpoint_url":"http://127.0.0.1:1","aws_access_key_id":"x","aws_secret_access_key":"y","aws_region":"us-east-1","aws_allow_http":"true"}
for more in ({"max_retries":"2"}, {"max_retries":"2","retry_timeout_ms":"10000"}):
    b=time.monotonic()
    try: pl.DataFrame({"a":[1]}).write_parquet("s3://b/x.parquet",storage_options={**o,**more},credential_provider=None)
    except Exception as e: print(more, str(e)[:300].replace("\n"," "))
    print(round(time.monotonic()-b,1))
