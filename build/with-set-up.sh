#!/bin/sh
# Runs a command after everything it needs is there: the npm packages (the current Node among them), then what
# build/set-up.ts looks after. Plain POSIX sh, since nothing may be installed yet; what is done is not done again.
# Standard output belongs to the command: all that is said here goes to standard error.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
# npm does this as well; by hand it would be missing.
PATH="$root/node_modules/.bin:$PATH"
export PATH

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

command -v npm >/dev/null 2>&1 || fail \
  'pg-maint needs Node.js with npm (any version from 16 on), and there is no npm on this machine.' \
  '  Install it, on Debian or Ubuntu for instance with:  apt-get install nodejs npm'

mkdir -p build/out || fail "pg-maint can't write to $root/build/out; clone it into a folder of your own."
log=build/out/npm.log

# Two set-ups at once would get into each other's way. The lock ends with this process, however it ends. A system
# without flock is none that the embedded cluster runs on.
if command -v flock >/dev/null 2>&1; then
  exec 9>build/out/set-up.lock
  flock --nonblock 9 || {
    echo 'waiting for another set-up in this folder …' >&2
    flock 9
  }
fi

stamp=node_modules/.pg-maint-packages
wanted=$(cksum <package-lock.json)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  echo 'installing the npm packages …' >&2
  # Before 9.9 npm takes an alias in "overrides" for a version and reads no lock file: Debian 12 has such a one. This
  # runs on Node.js 16 as well.
  case $(npm --version) in
  [0-8].* | 9.[0-8].*) npm='npm exec --yes --package=npm@9.9.4 -- npm' ;;
  *) npm=npm ;;
  esac
  # Descriptor 9 stays here: a child that outlives us must not hold the lock.
  # shellcheck disable=SC2086 # several words
  $npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1 9>&- || {
    tail -n 15 "$log" >&2
    fail '' "npm could not install the packages (the whole log: $root/$log)." \
      '  The machine needs access to an npm registry: see "npm config get registry", and try "npm ci".'
  }
  # The package "node" fetches its binary by an install script, which npm may be told not to run.
  if ! node_modules/.bin/node --version >/dev/null 2>&1; then
    (cd node_modules/node && node installArchSpecificPackage.js) >>"$log" 2>&1 9>&- || true
    ln -sf ../node/bin/node node_modules/.bin/node
  fi
  node_modules/.bin/node --version >/dev/null 2>&1 || {
    tail -n 15 "$log" >&2
    fail '' "The npm package \"node\" offers no Node.js for this machine ($(uname -s) $(uname -m))." \
      '  pg-maint runs on the platforms that it has, such as Linux on x86-64 or arm64 with glibc.'
  }
  printf '%s\n' "$wanted" >"$stamp"
fi

node build/set-up.ts "$@" 9>&-

exec 9>&-
exec "$@"
