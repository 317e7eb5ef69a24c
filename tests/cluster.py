"""A Slurm of four nodes on this host, without systemd: munged, slurmctld and four slurmd."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
NODES = 4

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2
ReturnToService=2
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=30
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
"""


def missing() -> str:
    """Why there can be no Slurm here; empty where there can."""
    if lacking := [tool for tool in NEEDED if not shutil.which(tool)]:
        return f"{', '.join(lacking)} not installed (Debian: slurm-wlm, munge)"
    return "" if os.geteuid() == 0 else "slurmd must be started as root"


def free_ports(count: int) -> list[int]:
    with ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in bound:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in bound]


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start it; gives what goes into the environment of those who use it."""
    (folder / "state").mkdir(parents=True)
    host = socket.gethostname()
    port, *ports = free_ports(NODES + 1)
    lines = [CONFIGURATION.format(host=host, port=port, folder=folder)]
    for number, node_port in enumerate(ports, 1):
        name = f"NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1"
        lines.append(f"{name} Port={node_port} CPUs=1 RealMemory=2000\n")
    lines.append("PartitionName=low Nodes=ALL Default=YES PriorityTier=1\n")
    lines.append("PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF\n")
    configuration = folder / "slurm.conf"
    configuration.write_text("".join(lines))
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    own = [f"--{what}-file={folder}/munge.{what}" for what in ("key", "log", "pid", "seed")]
    env = {**os.environ, "SLURM_CONF": str(configuration)}
    daemons = [["munged", "-F", "--force", f"--socket={folder}/munge.socket", *own]]
    daemons += [["slurmctld", "-D", "-c", "-f", str(configuration)]]
    daemons += [["slurmd", "-D", "-f", str(configuration), "-N", f"n{i}"] for i in (1, 2, 3, 4)]
    started = []
    try:
        for words in daemons:
            started.append(
                subprocess.Popen(
                    words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            if words[0] == "munged":
                wait_until((folder / "munge.socket").exists, "munged")
        wait_until(lambda: call(env, "sinfo", "-h", "-t", "idle", "-o", "%D") == "4", "four nodes")
        yield {"SLURM_CONF": str(configuration)}
    finally:
        subprocess.run(["scancel", "--user=root"], env=env, capture_output=True)
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=60)


def call(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    return done.stdout.strip()


def wait_until(
    holds: Callable[[], object], what: str, seconds: float = 120, every: float = 0.2
) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(every)
