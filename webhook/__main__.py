"""python -m webhook: the receiver, set by the environment; exit code 2 if a setting is wrong."""

import sys

import pydantic

import logs
from webhook.app import make_app
from webhook.receiver_settings import ReceiverSettings
from webhook.uvicorn_server import serve


def main() -> None:
    try:
        settings = ReceiverSettings.model_validate({})
    except pydantic.ValidationError as error:
        # Never the values: one of them is the token.
        faults = [f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        sys.stderr.write(
            f"the webhook does not start, a setting is missing or wrong: {'; '.join(faults)}\n"
            "WEBHOOK_TOKEN is the token agreed with the platform; set it here or in .env\n"
        )
        sys.exit(2)
    logs.configure(verbose=True)
    serve(make_app(settings), settings)


if __name__ == "__main__":
    main()
