"""The plot: accepted requests over time, against the limit and beside a rival."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from .contenders import CONTENDERS
from .servers import SERVERS, steady
from .simulator import Load, Result, race

# Who is drawn, in which colour (Okabe and Ito's, told apart by colour-blind people too).
COLOURS = {
    "ours": "#0072B2",
    "vendor's advice": "#D55E00",
    "aiolimiter + tenacity": "#009E73",
    "aiobotocore adaptive": "#CC79A7",
}
SHOWN = ("fixed window", "sliding log", "log counting rejected")
MINUTES = 20


def _curve(result: Result, who: set[str]) -> tuple[list[float], list[int]]:
    times = sorted(t for t, sender, accepted in result.log if accepted and sender in who)
    ticks = [float(second) for second in range(0, min(60 * MINUTES, round(result.seconds)) + 1, 2)]
    return [t / 60 for t in ticks], [bisect_right(times, t) for t in ticks]


def _panel(axes: Any, server: str) -> None:
    load = Load()
    axes.plot([0, MINUTES], [0, MINUTES * load.limit], "k--", lw=1.2, label="the limit")
    for contender, colour in COLOURS.items():
        result = race(CONTENDERS[contender], SERVERS[server](load), load, steady())
        axes.plot(*_curve(result, {"ours", "rival"}), color=colour, lw=2.2, label=contender)
        axes.plot(*_curve(result, {"rival"}), color=colour, lw=1.2, ls=":")
    axes.set_title(server)
    axes.set_xlabel("minutes")
    axes.set_xlim(0, MINUTES)
    axes.set_ylim(0, MINUTES * load.limit)
    axes.grid(alpha=0.25)


def draw(path: str) -> None:
    """Write the PNG."""
    plt.rcParams["font.size"] = 11
    figure, panels = plt.subplots(1, len(SHOWN), figsize=(10, 4.6), sharey=True)
    for axes, server in zip(panels, SHOWN, strict=True):
        _panel(axes, server)
    panels[0].set_ylabel("accepted requests")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False)
    figure.suptitle("Accepted so far: client and rival (solid), the rival alone (dotted)")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=100)
