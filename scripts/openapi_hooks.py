"""What schemathesis does beyond making up requests: see check-api."""

import os

import requests
import schemathesis

API = os.environ["PODIUM_API"]

# The pod that the document's examples name, so that there is something to be found.
SAMPLE = {
    "id": "/simplepod",
    "containers": [
        {
            "name": "sleep",
            "exec": {"command": {"shell": "sleep 1000"}},
            "resources": {"cpus": 0.01, "mem": 16},
        }
    ],
}


def create_sample():
    requests.post(f"{API}/v2/pods?force=true", json=SAMPLE, timeout=10)


@schemathesis.hook
def map_body(context, body):
    """What is made up is read, kept and shown, but never run: no agent has so many processors."""
    if isinstance(body, dict) and "containers" in body:
        return {**body, "executorResources": {"cpus": 1_000_000}}
    return body


@schemathesis.hook
def after_call(context, case, response):
    """What was deleted comes back."""
    if case.method.upper() == "DELETE":
        create_sample()


create_sample()
