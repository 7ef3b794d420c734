"""A Lambda function of any trigger, on nothing but the standard library: it does what the event tells it to.

A WebSocket message names an `action`; a batch of records or messages does what the items' `do` says; a token that is to be authorized
says what the answer is. Every batch is a line of the file in the variable `SEEN`.
"""

import json
import os
import signal
import sys
import time
import urllib.request

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"
served = 0


def post(path, body):
    request = urllib.request.Request(f"{RUNTIME}/{path}", data=json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request).read()


def fail(request_id):
    post(f"invocation/{request_id}/error", {"errorMessage": "no", "errorType": "Oops"})


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)


def authorize(request_id, event):
    token = event["queryStringParameters"]["token"]
    if token == "unknown":
        post(f"invocation/{request_id}/error", {"errorMessage": "Unauthorized", "errorType": "Error"})
        return
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    if token == "denied":
        statement["Effect"] = "Deny"
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    reply = {"principalId": token, "policyDocument": policy, "context": {"admin": True}}
    post(f"invocation/{request_id}/response", reply if token != "malformed" else "me")


def serve_message(request_id, event):
    action = json.loads(event["body"])["action"] if "body" in event else "connect"
    if action == "exit":
        os._exit(7)
    if action == "hang":
        time.sleep(3600)
    if action == "raise":
        fail(request_id)
    elif action == "malformed":
        post(f"invocation/{request_id}/response", "no proxy reply")
    else:
        if action == "wait":
            wait_for(os.environ["MAY_GO_ON"])
        known = event["requestContext"].get("authorizer")
        told = {"served": served, "environment": dict(os.environ), "authorizer": known}
        post(f"invocation/{request_id}/response", {"statusCode": 200, "body": json.dumps(told)})


def item_of(record):
    if "body" in record:
        return {name: {"S": value} for name, value in json.loads(record["body"]).items()}
    return record["dynamodb"].get("NewImage", record["dynamodb"]["Keys"])


def number_of(record):
    return record["messageId"] if "body" in record else record["dynamodb"]["SequenceNumber"]


def serve_batch(request_id, event):
    records = event["Records"]
    items = [item_of(record) for record in records]
    with open(os.environ["SEEN"], "a", encoding="utf-8") as seen:
        seen.write(json.dumps({"items": [item["k"]["S"] for item in items], "records": records}) + "\n")
    wanted = {item["do"]["S"]: record for item, record in zip(items, records) if "do" in item}
    if "exit" in wanted:
        os._exit(7)
    if "wait" in wanted:
        wait_for(os.environ["MAY_GO_ON"])
    if "raise" in wanted:
        fail(request_id)
    elif "reply" in os.environ:
        post(f"invocation/{request_id}/response", json.loads(os.environ["reply"]))
    else:
        failures = [number_of(record) for do, record in wanted.items() if do.startswith("report")]
        reply = {"batchItemFailures": [{"itemIdentifier": number} for number in failures]}
        post(f"invocation/{request_id}/response", reply)


if "ENDED" in os.environ:
    # Only a process with an extension is told before it is killed.
    signal.signal(signal.SIGTERM, lambda *_: (open(os.environ["ENDED"], "w").close(), os._exit(0)))
    if os.environ.get("init") == "extension":
        register = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension/register"
        urllib.request.urlopen(urllib.request.Request(register, data=b"{}", method="POST")).read()
if os.environ.get("init") == "error":
    post("init/error", {"errorMessage": "no", "errorType": "Runtime.NoConfig"})
    sys.exit(1)
if os.environ.get("init") == "slow once" and not os.path.exists(os.environ["BEGUN"]):
    open(os.environ["BEGUN"], "w", encoding="utf-8").close()
    time.sleep(3600)
if os.environ.get("init") == "exit":
    sys.exit(3)

while True:
    with urllib.request.urlopen(f"{RUNTIME}/invocation/next") as invocation:
        request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.load(invocation)
    served += 1
    if "Records" in event:
        serve_batch(request_id, event)
    elif event.get("source") == "aws.events":
        with open(os.environ["SEEN"], "a", encoding="utf-8") as seen:
            seen.write(json.dumps(event) + "\n")
        post(f"invocation/{request_id}/response", None)
    elif event.get("type") == "REQUEST":
        authorize(request_id, event)
    else:
        serve_message(request_id, event)
