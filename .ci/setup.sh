# shellcheck shell=bash
# Makes a machine that has a Swift toolchain ready to build Weir. Sourced by Tests/run, Samples/run
# and .ci/run, which then call `weir_setup`. Asks nothing of the network when nothing is missing. All
# it says goes to stderr.

# Where this clone stands, for the scripts that source this one.
# shellcheck disable=SC2034
weir_root=$(unset CDPATH && cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

weir_say() { printf 'weir: %s\n' "$*" >&2; }

weir_die() {
    weir_say "$*"
    exit 1
}

# Puts `swift` in PATH if it stands in one of the usual places.
weir_find_swift() {
    local directory
    if command -v swift >/dev/null 2>&1; then return 0; fi
    for directory in /opt/swift/usr/bin /usr/local/swift/usr/bin /usr/share/swift/usr/bin \
        /usr/libexec/swift/bin "${HOME:-/}/.local/share/swiftly/bin" "${HOME:-/}/.swiftly/bin"; do
        if [ -x "$directory/swift" ]; then
            export PATH="$PATH:$directory"
            return 0
        fi
    done
    weir_die "found no swift, neither in PATH nor in /opt/swift/usr/bin:" \
        "install Swift 6.3 or newer (https://www.swift.org/install), then run this again"
}

# The Debian package that holds a shared library of the toolchain, by the library's file name.
weir_package_of_library() {
    case $1 in
        libcurl.so.4) echo libcurl4 ;;
        libncurses.so.6) echo libncurses6 ;;
        libsqlite3.so.0) echo libsqlite3-0 ;;
        libstdc++.so.6) echo libstdc++6 ;;
        libtinfo.so.6) echo libtinfo6 ;;
        libuuid.so.1) echo libuuid1 ;;
        libxml2.so.2) echo libxml2 ;;
        libz.so.1) echo zlib1g ;;
        *) return 1 ;;
    esac
}

# Prints the Debian packages that Swift itself needs to run, compile and link, and that are missing.
# Other systems keep these things in other places.
weir_missing_for_swift() {
    local bin library
    command -v apt-get >/dev/null 2>&1 || return 0
    bin=$(dirname -- "$(readlink -f -- "$(command -v swift)")")
    ldd "$bin/swift-package" "$bin/swift-frontend" "$bin/lld" 2>/dev/null |
        awk '/not found/ && $1 ~ /^lib/ && !seen[$1]++ { print $1 }' |
        while IFS= read -r library; do
            weir_package_of_library "$library" || weir_say "the toolchain misses $library"
        done
    command -v git >/dev/null 2>&1 || echo git
    command -v ld >/dev/null 2>&1 || echo binutils
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    [ -e /usr/share/zoneinfo/UTC ] || echo tzdata
    [ -e /usr/include/stdlib.h ] || echo libc6-dev
    # Also holds what the linker needs of gcc, which the package depends on.
    compgen -G '/usr/include/c++/*/vector' >/dev/null || echo libstdc++-12-dev
}

# Prints the Debian packages that Weir needs and that are missing.
weir_missing_for_weir() {
    if ! command -v pkg-config >/dev/null 2>&1; then
        echo pkg-config
        [ -e /usr/include/uv.h ] || echo libuv1-dev
        [ -e /usr/include/openssl/ssl.h ] || echo libssl-dev
        [ -e /usr/include/zlib.h ] || echo zlib1g-dev
        return
    fi
    pkg-config --exists libuv || echo libuv1-dev
    pkg-config --exists openssl || echo libssl-dev
    pkg-config --exists zlib || echo zlib1g-dev
}

# Runs apt-get as root, with its output in the file `$weir_apt_log`.
weir_apt() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" \
        >>"$weir_apt_log" </dev/null
}

weir_install() {
    local command="apt-get update && apt-get install -y --no-install-recommends $*" through=
    if ! command -v apt-get >/dev/null 2>&1; then
        weir_die "missing, by their names in Debian: $*. Install them, then run this again"
    fi
    if [ "$(id -u)" != 0 ]; then
        through=' through sudo'
        command="sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
        if ! command -v sudo >/dev/null 2>&1; then
            weir_die "missing: $*. You are not root and there is no sudo;" \
                "as root, run: apt-get update && apt-get install -y --no-install-recommends $*"
        fi
    fi
    weir_say "installing by apt$through what is missing: $*"
    weir_apt_log=$(mktemp)
    # A repository that fails to refresh doesn't matter if the packages come all the same.
    weir_apt update 2>>"$weir_apt_log" || true
    if ! weir_apt install -y --no-install-recommends "$@" 2>>"$weir_apt_log"; then
        cat -- "$weir_apt_log" >&2
        rm -f -- "$weir_apt_log"
        weir_die "apt could not install them; try it yourself: $command"
    fi
    rm -f -- "$weir_apt_log"
}

# On macOS nothing is installed: says what to ask brew for.
weir_setup_macos() {
    local missing=() openssl
    command -v pkg-config >/dev/null 2>&1 || missing+=(pkgconf)
    if openssl=$(brew --prefix openssl@3 2>/dev/null); then
        export PKG_CONFIG_PATH="$openssl/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    fi
    pkg-config --exists libuv 2>/dev/null || missing+=(libuv)
    pkg-config --exists openssl 2>/dev/null || missing+=(openssl@3)
    if [ "${#missing[@]}" -gt 0 ]; then
        weir_die "missing libraries or tools; run: brew install ${missing[*]}"
    fi
}

# Gets ready what building Weir needs.
weir_setup() {
    local missing
    weir_find_swift
    if [ "$(uname -s)" = Darwin ]; then
        weir_setup_macos
        return
    fi
    missing=$(
        weir_missing_for_swift
        weir_missing_for_weir
    )
    if [ -n "$missing" ]; then
        # Names of packages hold no spaces: split on purpose.
        # shellcheck disable=SC2086
        weir_install $missing
    fi
    swift --version >/dev/null 2>&1 || weir_die "$(command -v swift) does not start:" \
        "$(swift --version 2>&1 | head -n 1)"
}

# weir_tools PACKAGE…: for checks that need more than Weir does (a linter, a browser): installs
# those of the Debian packages that aren't there.
weir_tools() {
    local package missing=()
    for package in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
            ii*) ;;
            *) missing+=("$package") ;;
        esac
    done
    if [ "${#missing[@]}" -gt 0 ]; then weir_install "${missing[@]}"; fi
}
