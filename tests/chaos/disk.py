"""A disk and a clock that a test can make fail, through disk_faults.cc, and whose power it can cut."""
import ctypes
import errno
import mmap
import os
import random

FULL, BROKEN = errno.ENOSPC, errno.EIO


class Settings(ctypes.Structure):
    """As disk_faults.cc maps it."""
    _fields_ = [("clock_offset_micros", ctypes.c_int64), ("sync_delay_micros", ctypes.c_int64),
                ("write_error", ctypes.c_int64), ("sync_error", ctypes.c_int64),
                ("reads_hang", ctypes.c_int64)]


class Disk:
    """The data directory `root` of one process at a time, below `directory`."""

    def __init__(self, directory, root, library):
        self.root, self.library = root, library
        self.graves = os.path.join(directory, "graves")
        self.journal = os.path.join(directory, "disk.journal")
        self.path = os.path.join(directory, "disk.settings")
        os.mkdir(self.graves)
        with open(self.path, "w+b") as file:
            file.write(bytes(ctypes.sizeof(Settings)))
            file.flush()
            self.memory = mmap.mmap(file.fileno(), 0)
        self.settings = Settings.from_buffer(self.memory)

    def environment(self):
        return {"LD_PRELOAD": self.library, "MMSMO_FAULTS": self.path, "MMSMO_FAULTS_ROOT": self.root,
                "MMSMO_FAULTS_JOURNAL": self.journal, "MMSMO_FAULTS_GRAVES": self.graves}

    def heal(self):
        """The disk is as good as new; the clock stays where it is."""
        self.settings.sync_delay_micros = self.settings.write_error = self.settings.sync_error = 0
        self.settings.reads_hang = 0

    def cut_power(self, chance):
        """Takes back what was not synced when the process ended, or a part of it; returns how many bytes that
        were."""
        synced, lost, pending = self._read_journal()
        self._undo(pending[chance.randint(0, len(pending)):] if chance.random() < 0.5 else pending)
        dropped = sum(self._tear(path, synced[inode], lost.get(inode, []), chance)
                      for inode, path in self._files().items() if inode in synced)
        self._forget()
        return dropped

    def flip_bit(self, chance):
        """Flips a bit in one of the files; returns its path."""
        path = chance.choice(sorted(path for path in self._files().values() if os.path.getsize(path) > 0))
        with open(path, "r+b") as file:
            file.seek(chance.randrange(os.path.getsize(path)))
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1 << chance.randrange(8)]))
        return path

    def _read_journal(self):
        """What is durable of each file that was written to, what failed syncs gave up of it, and the changes of
        directories that are not durable yet."""
        synced, lost, pending = {}, {}, []
        if os.path.exists(self.journal):
            with open(self.journal) as lines:
                for verb, *words in map(str.split, lines):
                    if verb == "dirsync":
                        pending = []
                    elif verb == "sync":
                        synced[words[0]] = max(synced.get(words[0], 0), int(words[1]))
                    elif verb == "lost":
                        lost.setdefault(words[0], []).append((synced.get(words[0], 0), int(words[1])))
                    else:
                        pending.append((verb, words))
                        if verb == "create":
                            synced[words[0]] = 0
        return synced, lost, pending

    def _undo(self, changes):
        for verb, (inode, *words) in reversed(changes):
            path = words[-1]
            if verb in ("create", "link"):
                if _inode(path) == inode:
                    os.remove(path)
            elif verb == "unlink":
                if _inode(path) is None and inode != "0":
                    os.link(os.path.join(self.graves, inode), path)
            else:
                replaced, origin = words[0], words[1]
                if _inode(path) == inode:
                    os.rename(path, origin)
                    if replaced != "0":
                        os.link(os.path.join(self.graves, replaced), path)

    @staticmethod
    def _tear(path, synced, lost, chance):
        """Leaves what was synced, and by chance some of what was not: up to anywhere, or with holes."""
        size = os.path.getsize(path)
        synced = min(synced, size)
        end = chance.choice((synced, synced, chance.randint(synced, size)))
        with open(path, "r+b") as file:
            file.truncate(end)
            for begin, until in lost + ([(synced, end)] if chance.random() < 0.5 else []):
                for page in range(begin, min(until, end), 4096):
                    if chance.random() < 0.5:
                        file.seek(page)
                        file.write(bytes(min(4096, min(until, end) - page)))
        return size - end

    def _files(self):
        return {str(os.lstat(path).st_ino): path
                for folder, _, names in os.walk(self.root) for path in (os.path.join(folder, name) for name in names)}

    def _forget(self):
        open(self.journal, "w").close()
        for grave in os.listdir(self.graves):
            os.remove(os.path.join(self.graves, grave))


def _inode(path):
    try:
        return str(os.lstat(path).st_ino)
    except FileNotFoundError:
        return None
