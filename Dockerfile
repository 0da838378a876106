# Image for CI jobs: Python, nox, uv and noxide, with git and with the Node.js that actions such as checkout need.
#
#   docker build --build-arg NOXIDE_INSTALL=noxide==VERSION --tag noxide .
#   docker build --build-arg NOXIDE_INSTALL=dist/noxide-VERSION-….whl --tag noxide .
#
# In a workflow: container: {image: noxide}, then `noxide ci`.
ARG PYTHON_VERSION=3.13
FROM python:${PYTHON_VERSION}-slim

RUN apt-get update \
    && apt-get install --yes --quiet --no-install-recommends git nodejs \
    && rm -rf /var/lib/apt/lists/*

# A requirement, or the URL or path of a wheel; it brings nox and uv.
ARG NOXIDE_INSTALL
RUN --mount=type=bind,target=/context \
    cd /context \
    && pip install --quiet --no-cache-dir --root-user-action=ignore "${NOXIDE_INSTALL:?pass --build-arg NOXIDE_INSTALL}" \
    && noxide --version

CMD ["noxide", "--help"]
