"""Draws the table of docs/benchmarks.md from the raw figures: ratios within a round, then the
median of the rounds."""

import json
import statistics
from dataclasses import dataclass

from scenarios import PASSED, SHARDS

BEGIN = "<!-- figures: drawn by bench/run, not by hand -->"
END = "<!-- end of figures -->"
FANOUT_CLIENTS = (1_000, 5_000, 19_000)
GOAL_CLIENTS = 5_000  # what the goals of the ratios speak of


@dataclass(frozen=True)
class Row:
    """One figure: a value of each round, and the project's goal for the median, if there is one."""

    figure: str
    values: list
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    def drawn(self):
        middle = statistics.median(self.values)
        span = f"{number(min(self.values))}–{number(max(self.values))}"
        measured = f"**{number(middle)}**{self.unit} ({span})"
        return f"| {self.figure} | {self.goal()} | {measured} | {self.verdict(middle)} |"

    def goal(self):
        if self.at_most is not None:
            return f"at most {self.at_most:,g}{self.unit}"
        if self.at_least is not None:
            return f"at least {self.at_least:,g}{self.unit}"
        return "–"

    def verdict(self, middle):
        if self.at_most is not None:
            return "met" if middle <= self.at_most else "**missed**"
        if self.at_least is not None:
            return "met" if middle >= self.at_least else "**missed**"
        return "–"


def number(value):
    """Three figures that count, thousands apart."""
    decimals = {value < 1: 3, 1 <= value < 10: 2, 10 <= value < 100: 1}.get(True, 0)
    return f"{value:,.{decimals}f}"


def redraw(page, raw):
    """Replaces what stands between the markers of the page."""
    runs = {path.stem: lines_of(path) for path in sorted(raw.glob("*.jsonl"))}
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page.name} has lost its markers {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{drawn(runs)}\n{END}{after}")


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def drawn(runs):
    rows = [
        row.drawn() for name, of in ROWS.items() if runs.get(name) for row in of(Rounds(runs[name]))
    ]
    table = ["| figure | goal | median (lowest–highest) | |", "| --- | --- | --- | --- |", *rows]
    around = [circumstances(name, runs[name]) for name in ROWS if runs.get(name)]
    if not rows:
        return "Nothing has been measured yet.\n"
    return "\n".join([*table, "", *around]) + "\n"


def circumstances(name, lines):
    first = lines[0]
    rounds = max(line["round"] for line in lines)
    return (
        f"- `{name}`: {rounds} rounds, {first['date']}, commit `{first['commit']}`, "
        f"{first['kernel']}, {first['cpu']}, rustc {first['rustc']}"
    )


class Rounds:
    """The lines of one scenario, by round."""

    def __init__(self, lines):
        self.lines = lines
        self.numbers = sorted({line["round"] for line in lines})

    def figures(self, number, server, variant):
        for line in self.lines:
            if (line["round"], line["server"], line["variant"]) == (number, server, variant):
                return line["figures"]
        raise KeyError(f"round {number} has no run of {server} {variant}")

    def each(self, server, variant, pick):
        """One value of each round."""
        return [pick(self.figures(number, server, variant)) for number in self.numbers]

    def ratios(self, over, under, pick):
        """Of each round the value of the run `over` in parts of that of the run `under`."""
        pairs = zip(self.each(*over, pick), self.each(*under, pick), strict=True)
        return [one / other for one, other in pairs]


def cpu(in_flight):
    def pick(figures):
        found = [p for p in figures["phases"] if p["in_flight"] == in_flight]
        return found[0]["cpu_us_per_delivery"]

    return pick


def fanout(rounds):
    by_clients = {}
    for clients in FANOUT_CLIENTS:
        wshub, bare = ("wshub", str(clients)), ("bare", str(clients))
        by_clients[clients] = {w: rounds.ratios(wshub, bare, cpu(w)) for w in (1, 64)}
    for in_flight, goal in ((1, 1.10), (64, 0.045)):
        for clients in FANOUT_CLIENTS:
            figure = f"broadcast to {clients:,}, {in_flight} in flight: CPU, × the bare kernel's"
            at_most = goal if clients == GOAL_CLIENTS else None
            yield Row(figure, by_clients[clients][in_flight], at_most=at_most)
    for in_flight, goal in ((1, 1.10), (64, None)):
        # Of the medians, as in the rows above: within a round noise alone is more.
        medians = [statistics.median(by_clients[c][in_flight]) for c in FANOUT_CLIENTS]
        figure = f"these ratios with {in_flight} in flight, the three counts: highest ÷ lowest"
        yield Row(figure, [max(medians) / min(medians)], at_most=goal)
    for server in ("bare", "wshub"):
        for in_flight in (1, 64):
            figure = f"broadcast to 5,000, {in_flight} in flight: CPU per delivery, {server}"
            yield Row(figure, rounds.each(server, "5000", cpu(in_flight)), " µs")
    for clients in FANOUT_CLIENTS[1:]:
        idle = rounds.each("wshub", str(clients), lambda figures: figures["idle_bytes"])
        yield Row(f"an idle connection, of {clients:,}: own memory", idle, " bytes", at_most=512)
    connect = rounds.each("wshub", "5000", lambda figures: figures["connect_cpu_us"])
    yield Row(
        "a connection, of 5,000: CPU to accept, upgrade and greet", connect, " µs", at_most=50
    )


def room(rounds):
    for in_flight in (1, 64):
        ratios = rounds.each("wshub", "room", part_of("phases", "in_flight", in_flight, "ratio"))
        figure = f"room message to 5,000, {in_flight} in flight: CPU, × a broadcast's"
        yield Row(figure, ratios, at_most=1.05)


def rooms(rounds):
    def pick(shards, figure):
        return rounds.each("wshub", f"{shards} shards", lambda figures: figures[figure])

    told = "1,000,000 rooms of 2 on 19,000 connections"
    own = {shards: pick(shards, "bytes_per_membership") for shards in (1, SHARDS)}
    yield Row(f"{told}: own memory of a membership", own[1], " bytes", at_most=96)
    yield Row(f"the same, {SHARDS} shards", own[SHARDS], " bytes", at_most=96)
    beyond = pick(1, "beyond_ping_us")
    yield Row("joining them: CPU of a join, − a `ping` as long", beyond, " µs", at_most=3)
    at_end = pick(1, "beyond_ping_at_end_us")
    yield Row("the same, of the last twentieth of the joins", at_end, " µs")
    beyond = pick(1, "beyond_leave_us")
    yield Row("the same, − a `leave` of a room that one isn't in", beyond, " µs")
    yield Row("the same: CPU of a join, all of it", pick(1, "join_cpu_us"), " µs")
    for quantile in ("p50_ms", "p99_ms", "highest_ms"):
        took = [latency[quantile] for latency in pick(1, "latency")]
        word = quantile.removesuffix("_ms")
        yield Row(f"the same: until a client's eight joins were answered, {word}", took, " ms")


def deflate(rounds):
    for in_flight in (1, 64):
        for figures in rounds.each("wshub", "on", lambda figures: figures["phases"]):
            if any(phase["deflated"] != phase["delivered"] for phase in figures):
                raise SystemExit("deflate: some messages came undeflated, so there is no figure")
        ratios = rounds.ratios(("wshub", "on"), ("wshub", "off"), cpu(in_flight))
        figure = f"1 KiB of JSON to 5,000, {in_flight} in flight: CPU deflated, × plain"
        yield Row(figure, ratios, at_most=1.3)


def users(rounds):
    goals = {"many": 200_000, "one": 90_000}
    told = {"many": "20,000 outstanding", "one": "at most one outstanding each"}
    for variant, goal in goals.items():
        received = rounds.each("wshub", variant, lambda figures: figures["received_per_s"])
        figure = f"messages to single users of 5,000, {told[variant]}: received"
        yield Row(figure, received, "/s", at_least=goal)
    for variant in goals:
        share = rounds.each("wshub", variant, lambda figures: figures["cpu_us_per_message"])
        yield Row(f"the same, {told[variant]}: CPU per message", share, " µs")


def churn(rounds):
    ratios = rounds.each("wshub", "rooms", lambda figures: figures["ratio"])
    yield Row("join and leave in a room of 10,000: CPU, × a room of 10", ratios, at_most=1.10)
    pair = rounds.each("wshub", "rooms", lambda figures: figures["big_cpu_us_per_pair"])
    yield Row("join and leave in a room of 10,000: CPU per pair", pair, " µs")


def quiet(rounds):
    told = {"broadcast": "one 512 KiB broadcast", "room": "a hot room"}
    for variant, noise in told.items():
        ratio = rounds.each("wshub", variant, lambda figures: figures["ratio"])
        yield Row(f"p99 of 1,000 quiet users beside {noise}, × without", ratio, at_most=3)
    worst = rounds.each("wshub", "broadcast", lambda figures: figures["ratio_first_second"])
    yield Row("the same in the second after that broadcast, which they get too", worst)
    for phase in ("calm", "noisy"):
        yield Row(
            f"p99 of the quiet users, the room {phase}",
            rounds.each("wshub", "room", p99(phase)),
            " ms",
        )


def resume(rounds):
    def pick(passed, figure):
        return rounds.each("wshub", "users", part_of("groups", "passed", passed, figure))

    few, *more = PASSED
    for passed in more:
        figure = f"100 missed messages, {passed:,} others passed: CPU, × {few:,} others"
        yield Row(figure, pick(passed, "ratio"), at_most=1.1)
    for passed in PASSED:
        figure = f"the same, {passed:,} others passed: CPU of a resume"
        yield Row(figure, pick(passed, "cpu_us_per_resume"), " µs")
    for passed in PASSED:
        figure = f"the same, {passed:,} others passed: until the last message came, p50"
        yield Row(figure, [one["p50_ms"] for one in pick(passed, "latency")], " ms")


def storm(rounds):
    took = rounds.each("wshub", "users", lambda figures: figures["all_caught_up_s"])
    yield Row("5,000 clients resume at once: all caught up", took, " s", at_most=2)
    latency = rounds.each("wshub", "users", lambda figures: figures["latency"])
    for quantile in ("p50_ms", "p99_ms", "highest_ms"):
        word = quantile.removesuffix("_ms")
        yield Row(
            f"the same: until a client had all, {word}", [one[quantile] for one in latency], " ms"
        )
    cpu = rounds.each("wshub", "users", lambda figures: figures["cpu_us_per_resume"])
    yield Row("the same: CPU of a resume", cpu, " µs")


def receipts(rounds):
    told = {"one": "to one user each", "hundred": "to 100 users each"}
    paces = [phase["rate"] for phase in rounds.lines[0]["figures"]["phases"]]
    for variant, targets in told.items():
        for rate in paces:
            pace = f"{rate:g} a second and user" if rate else "one outstanding each"
            goal = 1.2 if rate else 2
            ratios = rounds.each("wshub", variant, part_of("phases", "rate", rate, "ratio"))
            figure = f"messages {targets} with receipts, {pace}: CPU, × a broadcast's"
            yield Row(figure, ratios, at_most=goal if variant == "one" else None)


def crossing(rounds):
    def p50(variant):
        return rounds.each("wshub", variant, lambda figures: figures["latency"]["p50_ms"])

    pairs = zip(p50("two nodes"), p50("one node"), strict=True)
    more = [two - one for two, one in pairs]
    yield Row("1,000 messages/s from node to node, p50: more than on one", more, " ms", at_most=1)
    for variant in ("one node", "two nodes"):
        yield Row(f"the same, {variant}: until a client has it, p50", p50(variant), " ms")


def publishing(rounds):
    def acked(figures):
        return figures["acked_per_s"]

    for to, where, goal in (("room", "a room", 0.5), ("users", "users", 0.35)):
        ratios = rounds.ratios(("wshub", to), ("redis", to), acked)
        figure = f"acknowledged publishes to {where}, a node over Redis: × redis-benchmark's"
        yield Row(figure, ratios, at_least=goal)
        for server, told in (("wshub", "a node"), ("redis", "redis-benchmark")):
            yield Row(f"the same to {where}, {told}", rounds.each(server, to, acked), "/s")
        for whose, key in (
            ("the node's", "cpu_us_per_message"),
            ("Redis'", "redis_cpu_us_per_message"),
        ):
            used = rounds.each("wshub", to, lambda figures, key=key: figures[key])
            yield Row(f"the same to {where}: {whose} CPU per message", used, " µs")


def tailing(rounds):
    def pick(key):
        return rounds.each("wshub", "log", lambda figures: figures[key])

    figure = "reading a log in Redis of 200-byte messages for others"
    yield Row(figure, pick("read_per_s"), "/s", at_least=200_000)
    yield Row("the same: the node's CPU per message", pick("cpu_us_per_message"), " µs")
    yield Row("the same: Redis' CPU per message", pick("redis_cpu_us_per_message"), " µs")


def failover(rounds):
    took = rounds.each("wshub", "users", lambda figures: figures["all_caught_up_s"])
    yield Row("5,000 clients resume after their node's death: all caught up", took, " s", at_most=5)
    cpu = rounds.each("wshub", "users", lambda figures: figures["cpu_us_per_resume"])
    yield Row("the same: the other node's CPU of a resume", cpu, " µs")


def part_of(parts, key, value, figure):
    def pick(figures):
        return next(part[figure] for part in figures[parts] if part[key] == value)

    return pick


def p99(phase):
    return lambda figures: figures["rounds"][0][phase]["p99_ms"]


ROWS = {
    "fanout": fanout,
    "room": room,
    "rooms": rooms,
    "deflate": deflate,
    "users": users,
    "churn": churn,
    "quiet": quiet,
    "resume": resume,
    "storm": storm,
    "receipts": receipts,
    "crossing": crossing,
    "publishing": publishing,
    "tailing": tailing,
    "failover": failover,
}
