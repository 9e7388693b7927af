"""Files: whole or not at all, whatever happens in the write."""

import os
import resource
import signal
import stat
import subprocess
import sys

import pytest

from manumatic.files import write_whole


def test_text_bytes_and_folders_on_the_way(tmp_path):
    path = write_whole(tmp_path / "a" / "b.txt", "Köln")
    assert path.read_bytes() == "Köln".encode()
    assert write_whole(path, b"over").read_bytes() == b"over"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["b.txt"]


@pytest.fixture
def full_disk():
    """No file may grow beyond 1,000 bytes, as on a disk with so much room left."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file(tmp_path, full_disk):
    path = tmp_path / "file"
    write_whole(path, b"old")
    with pytest.raises(OSError, match="File too large"):
        write_whole(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"], "nothing half-written stays"


WRITE = """
import os
from manumatic.files import write_whole
os.fsync = lambda handle: os.kill(os.getpid(), 9)
write_whole({path!r}, b"new" * 1000)
"""


@pytest.mark.slow
def test_a_kill_in_the_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"old")
    done = subprocess.run([sys.executable, "-c", WRITE.format(path=str(path))], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
