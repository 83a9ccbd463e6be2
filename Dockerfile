# `sandbox` is what docker-compose.yml runs, to work in; `check` is what docker-compose.test.yml runs, to test contracts.
FROM python:3.12-slim AS base
# The link is for those who type the chapter's `cd ~/../workspace`.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --shell /bin/bash vscode \
    && install --directory --owner=vscode --group=vscode /workspace \
    && ln -s /workspace /home/workspace \
    && git config --system safe.directory /workspace
USER vscode
WORKDIR /workspace
# VENV is the Makefile's, so that `make check` takes what is installed here.
ENV VENV=/home/vscode/venv PATH=/home/vscode/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1

FROM base AS check
COPY requirements.txt ./
# The contract tests need no notebooks, and no PostgreSQL beside the one of the compose file.
RUN python -m venv "$VENV" \
    && grep --invert-match --regexp=jupyter --regexp=pgserver requirements.txt | pip install --requirement /dev/stdin
COPY --chown=vscode . .

FROM base AS sandbox
COPY Makefile requirements.txt ./
RUN make requirements
