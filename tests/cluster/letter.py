"""A message of a publisher who tries again until it is answered, and how it is posted over HTTP."""

import asyncio
import collections
import json


class Letter:
    def __init__(self, sender, name, data):
        self.sender, self.id, self.data = sender, name, data
        self.room, self.to = None, []
        # Where it stands in the log, once that was acknowledged.
        self.place = self.acknowledged = None

    def message(self):
        message = {"id": self.id, "data": self.data}
        if self.room:
            return message | {"type": "room", "room_id": self.room}
        if self.to:
            return message | {"type": "user", "target_ids": self.to}
        return message | {"type": "broadcast"}

    def is_for(self, device):
        if self.room:
            return self.room in device.rooms
        return not self.to or device.user in self.to


class Answers:
    """What publishers were answered, and how long that took at most."""

    def __init__(self):
        self.longest = collections.defaultdict(float)
        self.counts = collections.Counter()

    def add(self, way, code, seconds):
        self.counts[(way, code)] += 1
        self.longest[(way, code)] = max(self.longest[(way, code)], seconds)

    def hung(self):
        return sum(count for (_, code), count in self.counts.items() if code == "hung")

    def __str__(self):
        return ", ".join(
            f"{way} {code} {count} (at most {self.longest[(way, code)] * 1000:.0f} ms)"
            for (way, code), count in sorted(self.counts.items())
        )


async def post(address, message, seconds):
    """Posts it: an error's code, `published`, `unreachable` or `hung`; and what was answered."""
    try:
        return await asyncio.wait_for(exchange(address, json.dumps(message).encode()), seconds)
    except TimeoutError:
        return "hung", None
    except (OSError, EOFError, ValueError) as error:
        return "unreachable", str(error)


async def exchange(address, body):
    reader, writer = await asyncio.open_connection(*address)
    try:
        head = f"POST /publish HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode())
        writer.write(body)
        head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        status = int(head.split()[1])
        answer = json.loads(answer)
    except IndexError:
        raise EOFError("nothing was answered") from None
    finally:
        writer.close()
    return ("published" if status == 200 else answer["code"]), answer
