"""The table's arithmetic on figures made up for it: `python3 -m pytest bench/driver`."""

import pytest
import table
from scenarios import SCENARIOS


def run(number, server, variant, alone, many):
    phases = [
        {"in_flight": 1, "cpu_us_per_delivery": alone, "deflated": 1, "delivered": 1},
        {"in_flight": 64, "cpu_us_per_delivery": many, "deflated": 1, "delivered": 1},
    ]
    about = {"scenario": "any", "round": number, "server": server, "variant": variant}
    return about | {"figures": {"phases": phases}}


def test_a_ratio_is_taken_within_a_round():
    lines = [
        run(1, "wshub", "off", 5.0, 5.0),
        run(1, "wshub", "on", 5.5, 0.2),
        run(2, "wshub", "off", 10.0, 5.0),
        run(2, "wshub", "on", 12.0, 0.2),
    ]
    alone = next(table.deflate(table.Rounds(lines)))
    assert alone.values == pytest.approx([1.1, 1.2])


def test_a_goal_is_met_or_missed_by_the_median():
    met = table.Row("ratio", [1.0, 1.05, 9.0], at_most=1.10)
    assert met.drawn() == "| ratio | at most 1.1 | **1.05** (1.00–9.00) | met |"
    missed = table.Row("received", [150_000, 250_000, 199_999], "/s", at_least=200_000)
    assert missed.drawn().endswith("| **missed** |")


def test_a_figure_without_a_goal_has_no_verdict():
    drawn = table.Row("p99", [12.345], " ms").drawn()
    assert drawn == "| p99 | – | **12.3** ms (12.3–12.3) | – |"


def test_an_undeflated_message_spoils_the_figure_of_deflate():
    lines = [run(1, "wshub", "off", 1.0, 1.0), run(1, "wshub", "on", 1.0, 1.0)]
    assert len(list(table.deflate(table.Rounds(lines)))) == 2
    lines[1]["figures"]["phases"][0]["delivered"] = 2
    with pytest.raises(SystemExit):
        list(table.deflate(table.Rounds(lines)))


def test_only_what_stands_between_the_markers_is_redrawn(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{table.BEGIN}\nold\n{table.END}\nbelow\n")
    table.redraw(page, tmp_path)
    text = page.read_text()
    assert text.startswith("above\n")
    assert "Nothing has been measured yet." in text
    assert text.endswith("\nbelow\n")


def test_every_scenario_has_rows():
    assert set(SCENARIOS) == set(table.ROWS)


def test_a_resume_after_many_others_may_cost_a_tenth_more():
    ratios = dict(zip(table.PASSED, (1.0, 1.05, 1.3), strict=True))
    groups = [
        {"passed": passed, "ratio": ratio, "cpu_us_per_resume": 90.0, "latency": {"p50_ms": 1.0}}
        for passed, ratio in ratios.items()
    ]
    line = {"round": 1, "server": "wshub", "variant": "users", "figures": {"groups": groups}}
    rows = [row.drawn() for row in table.resume(table.Rounds([line]))]
    assert rows[0].endswith("| **1.05** (1.05–1.05) | met |")
    assert rows[1].endswith("| **1.30** (1.30–1.30) | **missed** |")
