"""Entry point of a gateway worker: `python -m dbopt.gateway FD`, with its end of the link."""

import sys

# structlog loads both where they are installed, 5 MB in each worker: one to render tracebacks,
# which dbopt.logs never prints, the other for greenlets, which no worker has. None says that
# they are not installed (https://docs.python.org/3/reference/import.html#the-module-cache).
sys.modules["rich"] = sys.modules["greenlet"] = None  # type: ignore[assignment]

from dbopt.gateway.life import main  # noqa: E402 - what it imports must find them missing

if __name__ == "__main__":
    main()
