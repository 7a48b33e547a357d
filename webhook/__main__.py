"""python -m webhook: run the receiver. Exit code 2 means that a setting or a limit is wrong."""

import sys

import logs
from webhook import receiver_settings
from webhook.app import make_app
from webhook.uvicorn_server import TooFewFiles, serve


def main() -> None:
    """Run the receiver until SIGTERM or SIGINT."""
    try:
        settings = receiver_settings.read()
    except receiver_settings.WrongReceiverSettings as error:
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
