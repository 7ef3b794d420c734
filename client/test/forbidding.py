#!/usr/bin/env python3
"""A function `subscribe` that forbids the order `secret` and answers for any other that it has no event."""

import json
import os
import urllib.request

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


def answer(order):
    order_id = order["orderId"]
    if order_id == "secret":
        return {"type": "error", "code": "forbidden", "message": "no", "requestId": "r", "orderId": order_id}
    return {"type": "update", "orderId": order_id, "version": 0, "events": [], "projection": {}}


while True:
    with urllib.request.urlopen(f"{RUNTIME}/next") as invocation:
        request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        message = json.loads(json.load(invocation)["body"])
    (order,) = message["orders"]
    reply = json.dumps({"statusCode": 200, "body": json.dumps(answer(order))}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{RUNTIME}/{request_id}/response", data=reply, method="POST")).read()
