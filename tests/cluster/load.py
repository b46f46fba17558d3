"""A cluster under load: devices on all nodes, publishers who try again, and the account of it."""

import asyncio
import contextlib
import random
import time

from device import Device, place_of
from letter import Answers, Letter, post

# What a publisher does with these is to try again with the same id.
AGAIN = {"unavailable", "outcome_unknown", "overloaded"}
# A publisher who gets no answer for so long has been let down: the contract says 2 s.
HUNG = 5.0
PATIENCE = 20.0


class Load:
    """Runs as long as its `async with`; `settle` ends it and adds up what came of it."""

    def __init__(
        self, addresses, *, users=10, rooms=3, a_second=200, nodes_stop=False, silence=1.5
    ):
        self.addresses = addresses
        # A client that hears nothing for so long asks for a sign of life, and then leaves.
        self.silence = silence
        self.over, self.stops = asyncio.Event(), asyncio.Event()
        self.changed = asyncio.Event()
        # Whether a node may be silent; else an answer that doesn't come is a fault.
        self.nodes_stop = nodes_stop
        self.random = random.Random(4)
        self.letters, self.places, self.faults = {}, {}, []
        self.answers = Answers()
        self.users = [f"user{number}" for number in range(users)]
        self.rooms = [f"room{number}" for number in range(rooms)]
        self.devices = []
        for number, user in enumerate(self.users):
            few = [room for at, room in enumerate(self.rooms) if (number + at) % 2 == 0]
            # Every third user has two devices, on two nodes.
            for device in range(2 if number % 3 == 0 else 1):
                node = (number + device) % len(addresses)
                self.devices.append(Device(self, user, few, node))
        self.every = (len(addresses) + 2 + len(self.devices)) / a_second
        self.tasks, self.goodbyes = [], set()

    async def __aenter__(self):
        publishers = [self.by_http(node) for node in range(len(self.addresses))]
        publishers += [self.by_http(node) for node in range(2)]
        publishers += [self.by_socket(device) for device in self.devices]
        self.publishers = [asyncio.create_task(publisher) for publisher in publishers]
        self.tasks = [asyncio.create_task(device.live()) for device in self.devices]
        await self.recovers(time.monotonic())
        return self

    async def __aexit__(self, *_):
        self.stops.set()
        self.over.set()
        for task in [*self.publishers, *self.tasks]:
            task.cancel()
        await asyncio.gather(*self.publishers, *self.tasks, return_exceptions=True)

    # Waiting, always for something.

    async def pause(self, seconds):
        """Waits so long, or for the end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)

    async def until(self, is_so, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, f"after {seconds} s not yet: {what()}"
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), 0.2)

    async def recovers(self, since, seconds=PATIENCE):
        """Waits until every device was given what was said later than that; how long it took."""

        def late():
            return [device for device in self.devices if device.latest < since]

        def what():
            names = [f"{device.user} on {device.at}" for device in late()]
            return f"{names} were given nothing said since"

        await self.until(lambda: not late(), what, seconds)
        return time.monotonic() - since

    def say_goodbye(self, socket):
        task = asyncio.create_task(socket.close())
        self.goodbyes.add(task)
        task.add_done_callback(self.goodbyes.discard)

    # Publishers.

    def write(self, sender):
        """A message of a kind by chance: to a room, to a user or two, to all."""
        number = len(self.letters)
        letter = Letter(sender, f"m{number}", {"n": number, "at": time.monotonic()})
        kind = self.random.random()
        if kind < 0.45:
            letter.room = self.random.choice(self.rooms)
        elif kind < 0.9:
            letter.to = self.random.sample(self.users, self.random.choice([1, 1, 2]))
        self.letters[(sender, letter.id)] = letter
        return letter

    async def by_http(self, node):
        while not self.stops.is_set():
            letter = self.write("")
            while not self.over.is_set():
                began = time.monotonic()
                address = self.addresses[node % len(self.addresses)]
                code, answer = await post(address, letter.message(), HUNG)
                self.answers.add("http", code, time.monotonic() - began)
                if code == "published":
                    self.acknowledge(letter, answer)
                    break
                if code not in AGAIN and code not in ("unreachable", "hung"):
                    self.faults.append(f"HTTP publish {letter.message()} was answered {answer}")
                    break
                node += 1
                await self.pause(0.05)
            await self.pause(self.every)

    async def by_socket(self, device):
        while not self.stops.is_set():
            letter = self.write(device.user)
            while not self.over.is_set():
                answer = await self.ask(device, letter)
                if answer and answer["type"] == "ack":
                    self.acknowledge(letter, answer)
                    break
                if answer and answer["code"] not in AGAIN:
                    device.fault(f"published {letter.message()} and was told {answer}")
                    break
                await self.pause(0.05)
            await self.pause(self.every)

    async def ask(self, device, letter):
        """Says it once; the answer, or none where the connection ended before."""
        waiting = asyncio.get_running_loop().create_future()
        device.unanswered[letter.id] = waiting
        began, socket = time.monotonic(), device.socket
        if not await device.say(letter.message()):
            device.unanswered.pop(letter.id, None)
            return None
        while not waiting.done() and device.socket is socket:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting), 0.25)
            if time.monotonic() - began > HUNG:
                self.answers.add("socket", "hung", HUNG)
                device.unanswered.pop(letter.id, None)
                return None
        if not waiting.done():
            return None
        answer = waiting.result()
        code = answer.get("code", "published")
        self.answers.add("socket", code, time.monotonic() - began)
        return answer

    def acknowledge(self, letter, answer):
        letter.place = place_of(answer["cursor"])
        letter.acknowledged = time.monotonic()

    def note_order(self, place, known_as, message, device):
        """A place of the log says the same to everybody, its time included."""
        same = (known_as, message["timestamp"], message["data"])
        if self.places.setdefault(place, same) != same:
            device.fault(f"was given {same} where others were given {self.places[place]}")

    # The account.

    async def settle(self, *, redis_loses=False):
        """Ends the publishing, waits until all was given, and adds up what came of it.

        With `redis_loses`, messages may be gone of which clients were told.
        """
        self.stops.set()
        done, late = await asyncio.wait(self.publishers, timeout=PATIENCE)
        assert not late, "all publishers are answered in the end"
        for task in done:
            task.result()
        await self.ask_all_to_hear_the_last()
        faults = [*self.faults, *(fault for device in self.devices for fault in device.faults)]
        faults += self.lost(redis_loses)
        if not self.nodes_stop and self.answers.hung():
            faults.append(f"{self.answers.hung()} publishes had no answer in {HUNG} s")
        return Account(self, faults)

    async def ask_all_to_hear_the_last(self):
        last = Letter("", "the-last", {"n": -1, "at": time.monotonic()})
        self.letters[("", last.id)] = last
        await self.publish_at_last(last)
        known = ("", last.id)
        missing = lambda: [device.user for device in self.devices if known not in device.ids]  # noqa: E731
        await self.until(lambda: not missing(), lambda: f"{missing()} were not given the last")

    async def publish_at_last(self, letter):
        end, node = time.monotonic() + PATIENCE, 0
        while time.monotonic() < end:
            code, answer = await post(self.addresses[node], letter.message(), HUNG)
            if code == "published":
                return self.acknowledge(letter, answer)
            node = (node + 1) % len(self.addresses)
            await self.pause(0.05)
        raise AssertionError(f"nobody takes the last message: {code} {answer}")

    def lost(self, redis_loses):
        lost = []
        for known_as, letter in self.letters.items():
            if letter.place is None:
                continue
            for device in self.devices:
                if (
                    letter.is_for(device)
                    and device.is_promised(letter)
                    and known_as not in device.ids
                ):
                    lost.append(f"lost: {known_as} at {letter.place} for {device.user}")
            for user in letter.to:
                theirs = [device for device in self.devices if device.user == user]
                reached = any(known_as in device.ids for device in theirs)
                if not reached and not redis_loses and not any(d.counts["missed"] for d in theirs):
                    lost.append(f"lost: {known_as} at {letter.place} reached no device of {user}")
        return lost


class Account:
    def __init__(self, load, faults):
        self.faults = faults
        self.devices = devices = load.devices
        self.published = sum(letter.place is not None for letter in load.letters.values())
        self.given = sum(len(device.given) for device in devices)
        self.counts = {
            name: sum(device.counts[name] for device in devices) for name in devices[0].counts
        }
        self.told = sorted({what for device in devices for what, _ in device.told})
        self.answers = load.answers

    def __str__(self):
        counts = ", ".join(f"{name} {count}" for name, count in self.counts.items() if count)
        return f"{self.published} published, {self.given} given; {counts}; {self.answers}"

    def holds(self):
        """Prints it; fails if anything was lost, doubled, out of order or silently missing."""
        print(self)
        assert not self.faults, f"{len(self.faults)} faults: " + "\n".join(self.faults[:20])
        return self
