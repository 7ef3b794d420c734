"""A Lambda function that speaks the Runtime API with nothing but the standard library."""

import json
import os
import time
import urllib.request

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
served = 0


def post(path, body):
    request = urllib.request.Request(f"{RUNTIME}/{path}", data=json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request).read()


while True:
    with urllib.request.urlopen(f"{RUNTIME}/next") as invocation:
        request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.load(invocation)
    served += 1
    action = json.loads(event["body"])["action"] if "body" in event else "connect"
    if action == "exit":
        os._exit(7)
    if action == "hang":
        time.sleep(3600)
    if action == "raise":
        post(f"{request_id}/error", {"errorMessage": "no", "errorType": "Oops"})
    elif action == "malformed":
        post(f"{request_id}/response", "no proxy reply")
    else:
        told = {"served": served, "handler": os.environ["_HANDLER"], "mine": os.environ["MINE"]}
        post(f"{request_id}/response", {"statusCode": 200, "body": json.dumps(told)})
