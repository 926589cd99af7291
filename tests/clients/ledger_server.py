"""A server process on a ledger, for tests that kill it. Each line on its input commits that many events.

``python ledger_server.py FOLDER PORT``; answers with its port, then with the newest revision after each line.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from served import Served


def main() -> None:
    served = Served(Path(sys.argv[1]), port=int(sys.argv[2]), keep_events=100_000).start()
    print(served.port, flush=True)
    for line in sys.stdin:
        for n in range(int(line)):
            served.seen(f"{n}.spm")
        print(served.ledger.revision(), flush=True)


if __name__ == "__main__":
    main()
