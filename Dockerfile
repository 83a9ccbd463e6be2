# docker-compose.yml runs `sandbox`, to work in; docker-compose.test.yml runs `check`, to test the contracts.
FROM python:3.12-slim AS base
# The link is for the chapter's `cd ~/../workspace`.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --shell /bin/bash vscode \
    && install --directory --owner=vscode --group=vscode /workspace \
    && ln -s /workspace /home/workspace \
    && git config --system safe.directory /workspace
USER vscode
WORKDIR /workspace
# VENV is the Makefile's, so that `make check` uses what is installed here.
ENV VENV=/home/vscode/venv PATH=/home/vscode/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1

# Built beside `base`, so that an image that is not in the cache takes as long as the slower of the two.
FROM python:3.12-slim AS packages
WORKDIR /workspace
COPY pyproject.toml ./
# Without the extras `notebook` and `embedded`: the compose file has a PostgreSQL.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /home/vscode/venv && /home/vscode/venv/bin/pip install --editable ".[odcs,render]"

FROM base AS check
COPY --from=packages --chown=vscode /home/vscode/venv /home/vscode/venv
COPY --chown=vscode . .

FROM base AS sandbox
# In ~/etl the service `etl` says why it failed. Whoever works here may have another user id.
RUN mkdir --mode=777 ~/etl && echo '[ ! -e ~/etl/failed ] || cat ~/etl/failed' >> ~/.bashrc
COPY --chown=vscode Makefile pyproject.toml requirements*.txt ./
COPY --chown=vscode .ci/install .ci/
RUN make requirements
