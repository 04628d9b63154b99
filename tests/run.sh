#!/bin/sh
# Runs all tests, on every Vulkan driver found. Needs cargo; everything else it sees to itself.
#
#   sh tests/run.sh               with the drivers that are there; lavapipe is installed where there is none
#   sh tests/run.sh --both        with lavapipe and SwiftShader (from Debian's chromium), both installed if missing
#   sh tests/run.sh [--both] -- … hands what follows to cargo test
set -eu
cd "$(dirname "$0")/.."

both=no
if [ "${1:-}" = --both ]; then
    both=yes
    shift
fi
[ "${1:-}" = -- ] && shift

say() { printf 'tests/run.sh: %s\n' "$*" >&2; }

# Debian, Ubuntu and their like can install; elsewhere the packages are named and the person decides.
install() {
    if ! command -v apt-get >/dev/null 2>&1; then
        say "no Vulkan driver found, and no apt-get here to install one."
        say "Install Mesa's lavapipe and the Vulkan loader, then run this again:"
        say "  Fedora: dnf install mesa-vulkan-drivers vulkan-loader    Arch: pacman -S vulkan-swrast vulkan-icd-loader"
        say "or run 'TIDEMILL_NO_GPU=1 cargo test' to go without: the GPU tests are then reported as skipped."
        exit 1
    fi
    sudo=
    if [ "$(id -u)" != 0 ]; then
        sudo=sudo
        command -v sudo >/dev/null 2>&1 || { say "run this as root, or: apt-get install $*"; exit 1; }
    fi
    say "installing $*"
    if ! { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }; then
        say "apt-get could not install $*. Install them by hand, or run 'TIDEMILL_NO_GPU=1 cargo test' to go without."
        exit 1
    fi
}

driver_files() {
    for folder in /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d /etc/vulkan/icd.d "${HOME:-/}/.local/share/vulkan/icd.d"; do
        for file in "$folder"/*.json; do
            [ -e "$file" ] && printf '%s\n' "$file"
        done
    done
    return 0
}

loader() {
    for folder in /usr/lib /usr/lib64 /lib /lib64 /usr/local/lib; do
        find "$folder" -maxdepth 2 -name 'libvulkan.so.1*' 2>/dev/null | grep -q . && return 0
    done
    return 1
}

if [ "$(uname -s)" = Linux ] && [ "${TIDEMILL_NO_GPU:-}" != 1 ]; then
    if [ "$both" = yes ]; then
        driver_files | grep -q lvp_icd && loader || install mesa-vulkan-drivers libvulkan1
        swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
        [ -e "$swiftshader" ] || install chromium
        VK_DRIVER_FILES="$(driver_files | grep lvp_icd | head -n 1):$swiftshader"
        export VK_DRIVER_FILES
        say "drivers: $VK_DRIVER_FILES"
    elif [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
        if [ -z "$(driver_files)" ] || ! loader; then
            install mesa-vulkan-drivers libvulkan1
        fi
    fi
fi

# Headless drivers complain when this is missing.
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
    XDG_RUNTIME_DIR="$(mktemp -d)"
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi

cargo test "$@"
