"""Do programs that know AWS and nothing of Foldcast work against the local stack, unchanged?"""

import json
import sys
import time
import unittest
from pathlib import Path

from botocore.exceptions import ClientError
from stack import Stack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

MESSAGE_SECONDS_MAX = 30

AWS = str(Path(sys.executable).with_name("aws"))

SUBSCRIBE = '{"action":"subscribe","orderId":"guid_123"}'

EVENT = (
    '{"orderId":{"S":"guid_123"},"version":{"N":"1"},"ref":{"S":"282842364888744451"},"ts":{"N":"1605999005510000"},'
    '"data":{"M":{"eventName":{"S":"OrderPlaced"},"orderId":{"S":"guid_123"},"amount":{"N":"100"},'
    '"stripeToken":{"S":"stripe_123"}}}}'
)

SEEN = {"eventName": "OrderPlaced", "orderId": "guid_123", "amount": 100}


def failure_queue(listed):
    """The address of the failure queue; the other one is for pages of subscribers."""
    (queue_url,) = [url for url in listed["QueueUrls"] if "FailureQueue" in url]
    return queue_url


class ForeignClients(unittest.TestCase):
    """Each test has a stack of its own."""

    maxDiff = None

    def setUp(self):
        self.stack = self.enter(Stack())

    def enter(self, context):
        """Enters now, leaves after the test."""
        entered = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return entered

    def browser(self):
        return self.enter(connect(self.stack.websocket_url, proxy=None))

    def receive(self, browser):
        return json.loads(browser.recv(timeout=MESSAGE_SECONDS_MAX))

    def subscriber(self):
        """A socket that has subscribed to an order with no event."""
        browser = self.browser()
        browser.send(SUBSCRIBE)
        answer = self.receive(browser)
        self.assertEqual(
            answer, {"type": "update", "orderId": "guid_123", "version": 0, "events": [], "projection": {}}
        )
        return browser

    def aws(self, *arguments):
        done = self.stack.aws(AWS, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def test_a_websocket_client_subscribes_to_an_order_with_no_event(self):
        self.subscriber()

    def test_the_aws_command_line_lists_the_four_tables(self):
        names = self.aws("dynamodb", "list-tables")["TableNames"]
        self.assertEqual(sorted(names), ["connections", "order_projections", "order_stream", "subscriptions"])

    def test_an_event_that_the_aws_command_line_puts_reaches_the_subscriber(self):
        browser = self.subscriber()
        put = ["dynamodb", "put-item", "--table-name", "order_stream", "--item", EVENT]
        put += ["--condition-expression", "attribute_not_exists(orderId)"]
        self.aws(*put)
        event = {"version": 1, "ref": "282842364888744451", "ts": 1605999005510000, "data": SEEN}
        self.assertEqual(
            self.receive(browser),
            {"type": "update", "orderId": "guid_123", "version": 1, "events": [event], "projection": SEEN},
        )

        again = self.stack.aws(AWS, *put)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("ConditionalCheckFailedException", again.stderr)

    def test_boto3_posts_to_a_connection_looks_at_it_and_deletes_it(self):
        browser = self.browser()
        connection_id = self.connection_id()
        management = self.stack.client("apigatewaymanagementapi")

        management.post_to_connection(ConnectionId=connection_id, Data=b'{"hello":"browser"}')
        self.assertEqual(self.receive(browser), {"hello": "browser"})

        connection = management.get_connection(ConnectionId=connection_id)
        self.assertEqual(connection["Identity"]["SourceIp"], "127.0.0.1")
        self.assertLessEqual(connection["ConnectedAt"], connection["LastActiveAt"])

        management.delete_connection(ConnectionId=connection_id)
        with self.assertRaises(ConnectionClosed) as closed:
            browser.recv(timeout=MESSAGE_SECONDS_MAX)
        self.assertEqual(closed.exception.rcvd.code, 1000)

        with self.assertRaises(management.exceptions.GoneException) as gone:
            management.post_to_connection(ConnectionId=connection_id, Data=b"too late")
        self.assertEqual(status(gone.exception), 410)

    def test_a_wrong_secret_key_is_refused(self):
        browser = self.browser()
        stranger = self.stack.client("apigatewaymanagementapi", secret_key="guessed")
        with self.assertRaises(ClientError) as refused:
            stranger.post_to_connection(ConnectionId=self.connection_id(), Data=b"never seen")
        self.assertEqual(status(refused.exception), 403)

        browser.send('{"action":"ping"}')
        self.assertEqual(self.receive(browser), {"type": "pong"})

    def test_boto3_raises_its_typed_exceptions(self):
        browser = self.browser()
        connection_id = self.connection_id()
        management = self.stack.client("apigatewaymanagementapi")
        with self.assertRaises(management.exceptions.PayloadTooLargeException) as too_large:
            management.post_to_connection(ConnectionId=connection_id, Data=b"x" * 131_073)
        self.assertEqual(status(too_large.exception), 413)
        self.stack.management_url = self.stack.management_url.rsplit("/", 1)[0] + "/elsewhere"
        elsewhere = self.stack.client("apigatewaymanagementapi")
        with self.assertRaises(elsewhere.exceptions.ForbiddenException) as forbidden:
            elsewhere.post_to_connection(ConnectionId=connection_id, Data=b"never seen")
        self.assertEqual(status(forbidden.exception), 403)

        browser.send('{"action":"ping"}')
        self.assertEqual(self.receive(browser), {"type": "pong"})

    def test_boto3_is_throttled_beyond_the_accounts_quota(self):
        stack = self.enter(Stack({"requests_burst_max": 1, "requests_per_second_max": 0}))
        management = stack.client("apigatewaymanagementapi")
        for error in [management.exceptions.GoneException, management.exceptions.LimitExceededException]:
            with self.assertRaises(error):
                management.post_to_connection(ConnectionId="L0SM9cOFvHcCIhw=", Data=b"nobody")

    def test_the_aws_command_line_receives_a_message_that_it_waits_for(self):
        queue_url = failure_queue(self.aws("sqs", "list-queues"))
        sent = self.aws("sqs", "send-message", "--queue-url", queue_url, "--message-body", "hello")
        received = self.aws("sqs", "receive-message", "--queue-url", queue_url, "--wait-time-seconds", "20")
        (message,) = received["Messages"]
        self.assertEqual((message["MessageId"], message["Body"]), (sent["MessageId"], "hello"))

    def test_boto3_receives_what_cannot_be_folded_from_the_failure_queue(self):
        poison = {"orderId": {"S": "guid_123"}, "version": {"N": "1"}, "ref": {"S": "no ref"}}
        self.stack.client("dynamodb").put_item(TableName="order_stream", Item=poison)
        sqs = self.stack.client("sqs")
        queue_url = failure_queue(sqs.list_queues())
        deadline = time.monotonic() + MESSAGE_SECONDS_MAX
        received = {}
        while "Messages" not in received:
            self.assertLess(time.monotonic(), deadline, "no message came")
            received = sqs.receive_message(QueueUrl=queue_url)
        (message,) = received["Messages"]
        failure = json.loads(message["Body"])
        self.assertEqual((failure["failure"], failure["key"]), ("poison", 'orderId="guid_123" version=1'))
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
        self.assertEqual(attributes["ApproximateNumberOfMessages"], "0")

    def connection_id(self):
        """The id of the one connection, from the table that `$connect` writes."""
        rows = self.stack.client("dynamodb").scan(TableName="connections", ConsistentRead=True)["Items"]
        self.assertEqual(len(rows), 1)
        return rows[0]["connectionId"]["S"]


def status(error):
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


if __name__ == "__main__":
    unittest.main()
