"""What a measurement was made with: the machine, the versions, the commit."""

import hashlib
import os
import platform
import subprocess
import sys


def text(*command, cwd=None):
    """A command's output, or an empty text."""
    try:
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def line(path, start=""):
    try:
        with open(path) as file:
            return next((row.split(":", 1)[-1].strip() for row in file if row.startswith(start)), "")
    except OSError:
        return ""


def steal_seconds():
    """Seconds that the hypervisor gave this machine's cores to somebody else."""
    fields = line("/proc/stat", "cpu ").split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK") if len(fields) > 8 else 0.0


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def describe(repository, cpus):
    return {
        "machine": {
            "cpu": line("/proc/cpuinfo", "model name"),
            "cores": os.cpu_count(),
            "pinned_to": sorted(cpus),
            "memory": line("/proc/meminfo", "MemTotal"),
            "hypervisor": "hypervisor" in line("/proc/cpuinfo", "flags").split(),
            "system": " ".join([platform.system(), platform.release().split("-")[0], platform.machine(), *platform.libc_ver()]),
            "transparent_huge_pages": line("/sys/kernel/mm/transparent_hugepage/enabled"),
            "governor": line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        },
        "commit": text("git", "describe", "--always", "--dirty", "--abbrev=12", cwd=repository),
        "rustc": text("rustc", "--version"),
        "python": platform.python_version(),
        "command": " ".join(sys.argv),
    }
