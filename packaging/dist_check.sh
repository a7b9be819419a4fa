#!/usr/bin/env bash
# Build the sdist and, from it, the wheel; install the wheel into a clean environment of each Python, where `spikeseg doctor` tries
# it, and then the sdist, which holds the same. What was built stays in dist/.
#   packaging/dist_check.sh [PYTHON...]        without arguments: python3.11, python3.12 and python3.13, where they are there
#   CONSTRAINTS= packaging/dist_check.sh       with the newest packages instead of those of constraints-cpu.txt
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pin=()
[ -z "${CONSTRAINTS-constraints-cpu.txt}" ] || pin=(-c "$root/${CONSTRAINTS-constraints-cpu.txt}")
unset PYTHONPATH

pythons=("$@")
if [ ${#pythons[@]} -eq 0 ]; then
    for python in python3.11 python3.12 python3.13; do
        if "$python" -c '' 2>/dev/null; then pythons+=("$python"); else echo "== no $python here: not tried"; fi
    done
fi
[ ${#pythons[@]} -gt 0 ] || { echo "no Python of 3.11 to 3.13 here; name one" >&2; exit 1; }

echo "== building"
"${pythons[0]}" -m venv "$work/build"
"$work/build/bin/pip" install --quiet build
rm -rf dist
"$work/build/bin/python" -m build --outdir dist >"$work/build.log" 2>&1 || { tail -20 "$work/build.log" >&2; exit 1; }
ls -l dist

for python in "${pythons[@]}"; do
    bin=$work/clean/bin
    rm -rf "$work/clean"
    "$python" -m venv "$work/clean"
    echo "== $("$bin/python" --version): the wheel"
    "$bin/pip" install --quiet "${pin[@]}" dist/*.whl
    (cd "$work" && "$bin/spikeseg" doctor)
    echo "== $("$bin/python" --version): the sdist"
    "$bin/pip" install --quiet --force-reinstall --no-deps dist/*.tar.gz
    (cd "$work" && "$bin/spikeseg" doctor --no-test)
done
echo "wheel and sdist work with: ${pythons[*]}"
