"""A bad network before Redis: it passes bytes on, or cuts, delays, truncates and swallows them."""

import asyncio
import contextlib
import random
import threading


class WireTap:
    """Listens on a port of the system's choice; its ways may be changed at any time."""

    def __init__(self, port):
        """`port` is where Redis listens."""
        self.redis_port = port
        # Seconds that each piece is held back, at most.
        self.delay = 0.0
        # A connection ends after it has passed on so many more bytes of answers.
        self.ends_after = None
        # What is sent into one direction vanishes, while connections stay.
        self.swallows_questions = self.swallows_answers = False
        self.refuses = False
        self.random = random.Random(5)
        self.connections = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.call(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def close(self):
        self.cut()
        self.call(self.end_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def cut(self):
        """Ends all connections that there are, by a reset."""

        async def abort():
            for writer in list(self.connections):
                writer.transport.abort()

        self.call(abort())

    @staticmethod
    async def end_all():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def mend(self):
        self.delay, self.ends_after = 0.0, None
        self.swallows_questions = self.swallows_answers = self.refuses = False

    async def serve(self, reader, writer):
        if self.refuses:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            upstream, onward = await asyncio.open_connection("127.0.0.1", self.redis_port)
            ends = {writer, onward}
            self.connections |= ends
            try:
                there = self.carry(reader, onward, lambda: self.swallows_questions, False)
                back = self.carry(upstream, writer, lambda: self.swallows_answers, True)
                ways = [self.loop.create_task(way) for way in (there, back)]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
            finally:
                self.connections -= ends
                for end in ends:
                    end.transport.abort()
            return
        writer.transport.abort()

    async def carry(self, source, target, swallows, counts):
        passed = 0
        while piece := await self.read(source):
            if self.delay:
                await asyncio.wait([self.loop.create_future()], timeout=self.held_back())
            if swallows():
                continue
            if counts and self.ends_after is not None and passed + len(piece) > self.ends_after:
                target.write(piece[: max(0, self.ends_after - passed)])
                return
            passed += len(piece)
            target.write(piece)

    @staticmethod
    async def read(source):
        """What comes next; nothing at the end, whichever way that comes."""
        try:
            return await source.read(65536)
        except OSError:
            return b""

    def held_back(self):
        return self.random.uniform(0, self.delay)
