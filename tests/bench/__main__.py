"""Every figure that the README and the changelog speak of, measured anew.

python -m tests.bench                    all of them, one after another (make bench)
python -m tests.bench start app card     some of them
"""

from __future__ import annotations

import sys

from tests.bench import (
    classifiers,
    estimates,
    extractors,
    lab,
    neighbours,
    optimisers,
    peers,
    recognised,
)

BENCHES = {
    "start": lab.start,
    "app": lab.app,
    "card": lab.card,
    "cards": lab.cards,
    "classifiers": classifiers.main,
    "recognised": recognised.main,
    "neighbours": neighbours.main,
    "peers": peers.main,
    "optimisers": optimisers.main,
    "estimates": estimates.main,
    "extractors": extractors.main,
}


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(BENCHES)
    if unknown := set(chosen) - set(BENCHES):
        sys.exit(f"There is no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}.")
    for name in chosen:
        print(f"# {name}", flush=True)
        BENCHES[name]()
