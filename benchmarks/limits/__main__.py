"""Run the matrix and print its tables: `python -m benchmarks.limits [--seeds N] [--plot FILE]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from statistics import mean

from .contenders import CONTENDERS
from .robustness import CASES
from .servers import SERVERS, steady
from .simulator import Load, Result, race

Cell = tuple[str, str, int]
Runs = list[Result]


def run(cell: Cell) -> tuple[Result, Result]:
    """One contender on one server: alone, and beside the rival."""
    contender, server, seed = cell
    load, make = Load(seed=seed), SERVERS[server]
    alone = race(CONTENDERS[contender], make(load), load)
    return alone, race(CONTENDERS[contender], make(load), load, steady())


def run_case(cell: Cell) -> Result:
    """Ours in one case of the robustness table."""
    case, server, seed = cell
    return CASES[case].run(server, seed)


def both(values: Iterable[float], worst: Callable[[Iterable[float]], float], form: str) -> str:
    """Mean and worst."""
    known = list(values)
    return f"{mean(known):{form}} ({worst(known):{form}})"


def row(contender: str, server: str, alone: Runs, rival: Runs, load: Load) -> str:
    """One line of the table."""
    late = any(r.seconds >= load.patience * load.per for r in alone + rival)
    cells = [
        server,
        contender + (" *" if late else ""),
        both((r.seconds for r in alone), max, ".0f"),
        both((r.refused for r in alone), max, ".0f"),
        both((r.use for r in rival), min, ".2f"),
        both((r.refused for r in rival), max, ".0f"),
        both((100 * r.refused_share for r in rival), max, ".1f"),
        both((r.rival for r in rival), min, ".2f"),
    ]
    return "| " + " | ".join(cells) + " |"


def matrix(pool: ProcessPoolExecutor, seeds: int) -> None:
    """Six servers, alone and beside the rival, for everybody."""
    cells = [(c, s, seed) for s in SERVERS for c in CONTENDERS for seed in range(seeds)]
    results = dict(zip(cells, pool.map(run, cells), strict=True))
    print(f"Mean (worst) of {seeds} seeds. 1,200 requests, 120 per 60 s, at most 32 in flight;")
    print("latency 0.05-0.25 s from sending to answer, uniform. *: stopped after 3 hours.\n")
    print("| server | client | alone: s | 429s | rival: use | 429s | % | rival accepted |")
    print("|---|---|---|---|---|---|---|---|")
    for server in SERVERS:
        for contender in CONTENDERS:
            pairs = [results[contender, server, seed] for seed in range(seeds)]
            alone, rival = [p[0] for p in pairs], [p[1] for p in pairs]
            print(row(contender, server, alone, rival, Load()))


def robustness(pool: ProcessPoolExecutor, seeds: int) -> None:
    """Ours elsewhere."""
    cells = [(c, s, seed) for c in CASES for s in SERVERS for seed in range(seeds)]
    results = dict(zip(cells, pool.map(run_case, cells), strict=True))
    print(
        f"\nOurs beside a rival. Worst of {seeds} seeds: use, % of 429s, rival's share accepted.\n"
    )
    print("| |", " | ".join(SERVERS), "|")
    print("|---" * (1 + len(SERVERS)) + "|")
    for case in CASES:
        line = []
        for server in SERVERS:
            runs = [results[case, server, seed] for seed in range(seeds)]
            use, rival = min(r.use for r in runs), min(r.rival for r in runs)
            line.append(f"{use:.2f}, {100 * max(r.refused_share for r in runs):.1f}, {rival:.2f}")
        print(f"| {case} |", " | ".join(line), "|")


def main() -> None:
    """Print the tables; draw the plot if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", help="write the plot to this PNG")
    options = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        matrix(pool, options.seeds)
        robustness(pool, options.seeds)
    if options.plot:
        from .plot import draw  # noqa: PLC0415 - needs matplotlib

        draw(options.plot)


if __name__ == "__main__":
    main()
