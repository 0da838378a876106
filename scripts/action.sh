#!/bin/sh
# The script of action.yml and github/action.yml: finds or installs noxide, then runs `noxide ci`. Inputs are variables.
#
# noxide is installed into an environment of its own, with nox and uv, by uv or else by pip. It is kept for later runs
# where the runner's tool cache is kept: on self-hosted runners, and in containers that mount it.
set -eu

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

# What to install, if no input says it: the version of this checkout, if it is that of a release.
own_release() {
    version=$(sed -n 's/^version = "\([^"]*\)".*/\1/p' "$NOXIDE_ACTION_PATH/Cargo.toml" | head -n 1)
    case $version in
    *-dev*) fail "this version of the action ($version) is not a release: use a tag, or set the input \`install\` to a released version or the URL of a wheel, or \`source: true\`" ;;
    esac
    printf 'noxide==%s\n' "$version"
}

# Files of the checkout must not decide what is installed, nor run: they may be those of a pull request. Commands below
# start in the root directory, without the credentials that noxide keeps from sessions, without a cache that the checkout
# can contain, and without variables that name files of it.
leave_checkout() {
    unset NOXIDE_CACHE_SIGNING_KEY NOXIDE_FORGE_TOKEN ACTIONS_RUNTIME_TOKEN ACTIONS_CACHE_URL ACTIONS_RESULTS_URL
    unset NOXIDE_S3_ACCESS_KEY_ID NOXIDE_S3_SECRET_ACCESS_KEY NOXIDE_S3_SESSION_TOKEN
    unset PYTHONPATH PYTHONHOME UV_PROJECT UV_WORKING_DIR UV_WORKING_DIRECTORY UV_ENV_FILE
    unset UV_CONSTRAINT UV_BUILD_CONSTRAINT UV_OVERRIDE UV_EXCLUDE
    unset PIP_CONSTRAINT PIP_BUILD_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE
    case ${UV_CONFIG_FILE:-} in /*) ;; *) unset UV_CONFIG_FILE ;; esac
    case ${PIP_CONFIG_FILE:-} in /*) ;; *) unset PIP_CONFIG_FILE ;; esac
    case ${UV_FIND_LINKS:-} in /* | *://*) ;; *) unset UV_FIND_LINKS ;; esac
    case ${PIP_FIND_LINKS:-} in /* | *://*) ;; *) unset PIP_FIND_LINKS ;; esac
    export UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1
    cd /
}

# install_into DIRECTORY REQUIREMENT
install_into() {
    if command -v uv >/dev/null; then
        (
            leave_checkout
            uv venv --quiet --clear ${python:+--python "$python"} "$1" && uv pip install --quiet --python "$1/bin/python" "$2"
        )
    elif command -v python3 >/dev/null; then
        (
            leave_checkout
            # -I: neither the working directory nor variables lead to modules.
            python3 -I -m venv --clear "$1" && "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check "$2"
        )
    else
        fail 'installing noxide needs uv or python3 on PATH'
    fi
}

find_or_install() {
    install=${NOXIDE_ACTION_INSTALL:-}
    if [ "${NOXIDE_ACTION_SOURCE:-}" = true ]; then
        install=$NOXIDE_ACTION_PATH
    elif [ -z "$install" ]; then
        install=$(own_release)
    fi
    # A path is relative to the working directory, which the installation leaves.
    case $install in
    /* | *://* | *@*) ;;
    */* | .* | *.whl) install=$PWD/$install ;;
    esac
    # The key contains the Python that creates the environment.
    python=$(command -v python3 || true)
    version=$(leave_checkout && "${python:-true}" --version || true)
    key=$(printf '%s %s' "$install" "$python $version" | cksum | tr ' ' '-')
    case $install in
    "$NOXIDE_ACTION_PATH") kept= ;;                   # another commit may lie at the same path
    *==* | *://*) kept=${RUNNER_TOOL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}}/noxide-action ;;
    *) kept= ;;                                       # the version is not fixed, so nothing is kept
    esac
    if [ -z "$kept" ] || ! mkdir -p "$kept" 2>/dev/null; then
        kept=$(mktemp -d "${RUNNER_TEMP:-/tmp}/noxide-action.XXXXXX")
    fi
    kept=$(cd "$kept" && pwd)
    if [ ! -x "$kept/$key/bin/noxide" ] || [ ! -x "$kept/$key/bin/python" ]; then
        echo "installing $install"
        # Several jobs may install at once: each into a directory of its own, the last of which is kept.
        own=$kept/$key.$$
        install_into "$own" "$install" || exit 3
        ln -sfn "$own" "$kept/$key"
    fi
    programs=$kept/$key/bin
}

noxide=${NOXIDE_ACTION_BINARY:-$(command -v noxide || true)}
if [ -z "$noxide" ]; then
    find_or_install
    noxide=$programs/noxide
    # Last, so that the project's own nox and uv win.
    PATH=$PATH:$programs
    export PATH
fi
# noxide reads the inputs `sessions` and `args` from the environment: a shell would evaluate them.
exec "$noxide" ci --dir "$NOXIDE_ACTION_DIR"
