"""The local stack as a foreign client finds it: a process with three addresses and one pair of keys."""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time

import boto3
from botocore.config import Config

ACCESS_KEY = "local"
SECRET_KEY = "local"
REGION = "us-east-1"

READY_SECONDS_MAX = 60
END_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 120


class Stack:
    """One `foldcast up`, in memory and on free ports, with these numbers of API Gateway; it ends with the block."""

    def __init__(self, limits=None):
        self._limits = limits or {}

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="foldcast-foreign-")
        self._log = open(os.path.join(self._folder.name, "log"), "w+", encoding="utf-8")
        limits = os.path.join(self._folder.name, "limits.json")
        with open(limits, "w", encoding="utf-8") as file:
            json.dump(self._limits, file)
        flags = ["--ephemeral", "--port", "0", "--dynamodb-port", "0", "--limits", limits]
        self._process = subprocess.Popen(
            [os.environ["FOLDCAST_BINARY"], "up", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=self._folder.name,
            text=True,
        )
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            printed = self._wait_until_ready()
            self.websocket_url = printed["websocket"]
            self.management_url = printed["management"]
            self.dynamodb_url = printed["dynamodb"]
        except BaseException:
            self._process.kill()
            self._close()
            raise
        return self

    def __exit__(self, *_):
        """SIGTERM ends it cleanly."""
        try:
            self._process.terminate()
            code = self._process.wait(END_SECONDS_MAX)
            if code != 0:
                raise AssertionError(f"foldcast up ended with {code}:\n{self.log()}")
        finally:
            self._process.kill()
            self._close()

    def log(self):
        """What the stack wrote on stderr."""
        self._log.flush()
        with open(self._log.name, encoding="utf-8") as log:
            return log.read()

    def endpoint(self, service):
        """Where a service is served."""
        return {
            "dynamodb": self.dynamodb_url,
            "apigatewaymanagementapi": self.management_url,
            "sqs": self.management_url.rsplit("/", 1)[0],
        }[service]

    def client(self, service, secret_key=SECRET_KEY):
        """A client of boto3 that knows the addresses, the region and the keys, and nothing of this machine."""
        session = boto3.session.Session()
        return session.client(
            service,
            endpoint_url=self.endpoint(service),
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=secret_key,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def aws(self, program, service, *arguments):
        """Runs the AWS command line against a service; answers the finished process."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self._folder.name,
            "LC_ALL": "C.UTF-8",
            "NO_PROXY": "127.0.0.1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return subprocess.run(
            [program, service, *arguments, "--endpoint-url", self.endpoint(service), "--output", "json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _wait_until_ready(self):
        """Reads `name   address  …` lines up to the one that begins with `ready `."""
        end = time.monotonic() + READY_SECONDS_MAX
        printed = {}
        while True:
            try:
                line = self._lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not ready after {READY_SECONDS_MAX} s: {printed}\n{self.log()}") from None
            if line is None:
                raise AssertionError(f"foldcast up ended before it was ready:\n{self.log()}")
            if line.startswith("ready "):
                return printed
            words = line.split()
            printed[words[0]] = words[1]

    def _close(self):
        self._process.wait()
        self._reader.join(END_SECONDS_MAX)
        self._process.stdout.close()
        self._log.close()
        self._folder.cleanup()
