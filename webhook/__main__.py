"""python -m webhook: the receiver, set by the environment; exit code 2 if a setting is wrong."""

import sys

import logs
from webhook.app import make_app
from webhook.receiver_settings import WrongSettings, read
from webhook.uvicorn_server import TooFewFiles, serve


def main() -> None:
    try:
        settings = read()
    except WrongSettings as error:
        sys.stderr.writelines(f"error: {line}\n" for line in error.faults.values())
        sys.exit(2)
    logs.configure(verbose=True)
    try:
        serve(make_app(settings), settings)
    except TooFewFiles as error:
        sys.stderr.write(f"the webhook does not start: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
