"""Tells a user something from a back end, with nothing but Python's own library:

    python3 examples/notifications/notify.py ann "Your parcel is here"

It is one HTTP request. Where it gets no answer it is sent again under the same id, which has no
second effect.
"""

import argparse
import json
import random
import sys
import time
import urllib.error
import urllib.request
import uuid

TRIES = 5
# The node takes nothing now, or nobody knows whether it did. What is refused otherwise stays so.
TRY_AGAIN = {503, 504}


def main():
    parser = argparse.ArgumentParser(description="Tells a user something.")
    parser.add_argument("user")
    parser.add_argument("text")
    parser.add_argument("--id", default=str(uuid.uuid4()), help="what this notification is called")
    parser.add_argument("--node", default="http://127.0.0.1:8080", help="where the hub is")
    told = parser.parse_args()
    message = {
        "type": "user",
        "target_ids": [told.user],
        "id": told.id,
        "data": {"text": told.text},
    }
    print(json.dumps(publish(told.node, message)))


def publish(node, message):
    """Publishes a message; returns its id, its place in the log, and whether it was a repeat."""
    body = json.dumps(message).encode()
    request = urllib.request.Request(f"{node}/publish", body, {"Content-Type": "application/json"})
    why = ""
    for tried in range(TRIES):
        if tried > 0:
            # A random part of a growing time: who failed together doesn't come back together.
            time.sleep(random.random() * 2 ** (tried - 1))
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            why = refused.read().decode()
            if refused.code not in TRY_AGAIN:
                break
        except OSError as error:
            why = str(error)
    sys.exit(f"not published: {why}")


if __name__ == "__main__":
    main()
