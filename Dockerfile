# One image for the services migrate, orchestrator, webhook_receiver and docs (docker-compose.yaml).
FROM python:3.11.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY requirements.lock ./
RUN pip install --no-deps --require-hashes -r requirements.lock

# A new volume mounted at one of these folders gets its owner.
RUN useradd --uid 10001 --create-home fireside \
    && install -d -o fireside -g fireside /data/work /data/spool /app/public
COPY . .

USER fireside
ENTRYPOINT ["python"]
