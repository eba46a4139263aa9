"""What a container sees of owners and devices, and what is left in its upper tree."""

from __future__ import annotations

import os
from pathlib import Path

from mode_c_container import Container

from kobako.linux.ownership import XATTR, Own, Owners


def own(path: Path) -> Own | None:
    try:
        return Own.decode(os.getxattr(path, XATTR))
    except OSError:
        return None


def test_chown_is_seen_by_stat_ls_and_find(container: Container) -> None:
    said = container.sh("""
        touch f; mkdir d; chown 33:42 f; chown www-data d; chgrp shadow d; chown :7 f
        stat -c '%u %g %U %G' f d; ls -nd f d | awk '{print $3,$4}'; find f d -uid 33 -gid +1
        chown 0:0 f; stat -c %u:%g f
    """)
    assert said.split() == ("33 7 www-data lp 33 42 www-data shadow 33 42 33 7 f d 0:0".split())
    assert own(container.upper / "f") is None
    assert own(container.upper / "d") == Own(33, 42)


def test_the_image_s_owners_are_seen(container: Container) -> None:
    said = container.sh(
        "stat -c '%U:%G %a' /etc/shadow /var/mail /usr/bin/chage; ls -ld /var/local"
    )
    assert said.split("\n")[:3] == ["root:shadow 640", "root:mail 2775", "root:shadow 2755"]
    assert "root staff" in said


def test_links_fifos_and_sockets_are_kept_in_the_table(container: Container) -> None:
    said = container.sh("""
        mkdir -p x; cd x; ln -s nowhere link; mkfifo fifo
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
        chown -h 5:6 link; chown 7:8 fifo; chown 9:10 sock; ln -s y plain; chown -h 0:0 plain
        stat -c '%n %u %g' link fifo sock plain
        mv link moved; ln fifo second; chown -h 5:6 plain; rm plain; mkdir deep; mv sock deep/sock
        stat -c '%n %u %g' moved second deep/sock
    """)
    assert said.split("\n")[:7] == [
        "link 5 6", "fifo 7 8", "sock 9 10", "plain 0 0",
        "moved 5 6", "second 7 8", "deep/sock 9 10",
    ]  # fmt: skip
    assert Owners.load(str(container.base / "owners")) == {
        b"x/moved": (5, 6),
        b"x/fifo": (7, 8),
        b"x/second": (7, 8),
        b"x/deep/sock": (9, 10),
    }


def test_owners_survive_a_restart(container: Container) -> None:
    container.sh("ln -s a l; chown -h 5:6 l; touch f; chown 1:2 f; mknod block b 8 1")
    said = container.sh("stat -c '%n %u %g' l f; stat -c '%F %t:%T' block; mv l m")
    assert said == "l 5 6\nf 1 2\nblock special file 8:1\n"
    assert Owners.load(str(container.base / "owners")) == {b"m": (5, 6)}


def test_owners_of_lower_layers_are_those_of_the_topmost(container: Container) -> None:
    from kobako.emulate.journal import load

    for layer in ("one", "two"):
        (container.base / layer / "tree").mkdir(parents=True)
        (container.base / layer / "tree/both").symlink_to("x")
    (container.base / "one/tree/only").symlink_to("x")
    (container.base / "one/tree/gone").symlink_to("x")
    container.upper.mkdir()
    (container.upper / "gone").symlink_to("y")
    Owners({b"both": (1, 1), b"only": (2, 2), b"gone": (3, 3)}).save(f"{container.base}/one/owners")
    lowers = [f"{container.base}/two/owners", f"{container.base}/one/owners"]
    assert load(f"{container.base}/owners", lowers) == {b"only": (2, 2)}
    Owners({b"both": (4, 4)}).save(lowers[0])
    assert load(f"{container.base}/owners", lowers) == {b"only": (2, 2), b"both": (4, 4)}


def test_devices_are_placeholders(container: Container) -> None:
    said = container.sh("""
        mknod c c 4 64; mknod -m 600 b b 259 300; chown 0:6 b; test -c c; test -b b
        stat -c '%F %t:%T %a %g' c b; python3 -c 'import os; print(oct(os.lstat("c").st_mode))'
        cp -a c c2; stat -c '%F %t:%T' c2; rm c2; ls -l c | cut -c1-10
    """)
    assert said == (
        "character special file 4:40 644 0\nblock special file 103:12c 600 6\n0o20644\n"
        "character special file 4:40\ncrw-r--r--\n"
    )
    assert (container.upper / "c").is_file()
    assert own(container.upper / "c") == Own(0, 0, 0o20000, os.makedev(4, 64))


def test_chown_clears_set_id_bits_and_keeps_the_image_copied_up(container: Container) -> None:
    said = container.sh("""
        touch s; chmod 6755 s; chown 5 s; stat -c '%a %u' s; chmod 4755 s; stat -c %a s
        chown root:root /etc/hostname /bin; chown -h 0:0 /etc/os-release; echo ok
    """)
    assert said == "755 5\n4755\nok\n"
    assert (container.upper / "etc/os-release").is_symlink()


def test_descriptors_and_proc_self(container: Container) -> None:
    said = container.python("""
import os, sys
fd = os.open("f", os.O_CREAT | os.O_RDWR, 0o600)
os.fchown(fd, 11, 12)
print(os.fstat(fd).st_uid, os.stat(f"/proc/self/fd/{fd}").st_gid)
os.chown(f"/proc/self/fd/{fd}", 13, -1)
print(os.stat("f").st_uid, os.stat(fd).st_gid)
os.symlink("x", "l")
path = os.open("l", os.O_PATH | os.O_NOFOLLOW)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.fchownat(path, b"", 21, 22, 0x1000), os.lstat("l").st_uid, os.fstat(path).st_gid)
print(libc.fchown(999, 1, 1), os.strerror(ctypes.get_errno()))
print(libc.fchownat(-100, b"", 1, 1, 0), os.strerror(ctypes.get_errno()))
d = os.open("/etc", os.O_RDONLY)
os.chown("shadow", 0, 43, dir_fd=d)
print(os.stat("shadow", dir_fd=d).st_gid)
os.unlink("f")
os.fchown(fd, 14, 15)
print(os.fstat(fd).st_uid)
os.symlink("/dev/stdout", "log")
sys.stdout.flush()
os.dup2(fd, 1)
os.chown("log", 16, 16)
os.write(2, f"{os.fstat(1).st_uid}\\n".encode())
""")
    assert said.split("\n") == [
        "11 12", "13 12", "0 21 22", "-1 Bad file descriptor", "-1 No such file or directory",
        "43", "14", "16", "",
    ]  # fmt: skip


def test_a_process_s_own_root_and_working_directory_count(container: Container) -> None:
    said = container.sh("""
        mkdir -p jail/etc jail/sub
        cat > t.py <<'END'
import os
os.chroot("/jail")
os.chdir("/sub")
open("/etc/f", "w").close()
os.chown("/etc/f", 51, 52)
os.symlink("/etc/f", "abs")
os.chown("abs", 53, -1)
os.lchown("abs", 54, 54)
os.chown("../../../../etc/f", -1, 55)
print(os.stat("/etc/f").st_uid, os.stat("abs").st_gid, os.lstat("abs").st_uid)
END
        python3 t.py; stat -c '%n %u %g' /jail/etc/f; test ! -e /etc/f
    """)
    assert said == "53 55 54\n/jail/etc/f 53 55\n"
    assert Owners.load(str(container.base / "owners")) == {b"jail/sub/abs": (54, 54)}


def test_files_without_user_xattrs(container: Container) -> None:
    said = container.sh("""
        touch /dev/shm/f; chown 5:6 /dev/shm/f; stat -c %u:%g /dev/shm/f
        ln -s x /dev/shm/l; chown -h 7:8 /dev/shm/l; stat -c %u:%g /dev/shm/l
        touch m; chmod 000 m; chown 9 m; stat -c '%u %a' m
    """)
    assert said == "5:6\n7:8\n9 0\n"
    assert not (container.base / "owners").exists()


def test_records_are_hidden_and_capabilities_kept(container: Container) -> None:
    said = container.python("""
import os, shutil, struct
open("f", "w").close(); os.chown("f", 5, 6); os.setxattr("f", "user.mine", b"1")
print(os.listxattr("f"))
own = "user.kobako.own"
for call, *more in (os.getxattr,), (os.removexattr,), (os.setxattr, b"0:0"):
    try: call("f", own, *more)
    except OSError as e: print(e.strerror)
cap = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
os.setxattr("f", "security.capability", cap)
print(os.getxattr("f", "security.capability") == cap, sorted(os.listxattr("f")))
shutil.copystat("f", shutil.copy("f", "g")); print(os.stat("g").st_uid, sorted(os.listxattr("g")))
os.chown("f", 7, 7); print(os.listxattr("f"))
""")
    assert said == (
        "['user.mine']\nNo data available\nNo data available\nOperation not permitted\n"
        "True ['security.capability', 'user.mine']\n0 ['security.capability', 'user.mine']\n"
        "['user.mine']\n"
    )


def test_tar_cp_and_install_keep_owners(container: Container) -> None:
    said = container.sh("""
        mkdir t; touch t/a t/b; ln -s a t/l; mknod t/n c 1 3; mkfifo t/p
        chown -h 1:2 t/a t/l t/n t/p; chmod 4711 t/a
        tar -cf t.tar t; tar -tvf t.tar --numeric-owner | awk '{print $1,$2}' | sort; mv t t0
        tar -xpf t.tar; cp -a t t2; install -o 33 -g 33 -m 2750 t/b i; install -d -o 7 dir
        stat -c '%u %g %a %F %t:%T' t/* t2/* i dir | sort | uniq -c | awk '{$1=$1};1'
    """)
    assert said == (
        "-rw-r--r-- 0/0\n-rws--x--x 1/2\ncrw-r--r-- 1/2\ndrwxr-xr-x 0/0\nlrwxrwxrwx 1/2\n"
        "prw-r--r-- 1/2\n"
        "2 0 0 644 regular empty file 0:0\n2 1 2 4711 regular empty file 0:0\n"
        "2 1 2 644 character special file 1:3\n2 1 2 644 fifo 0:0\n2 1 2 777 symbolic link 0:0\n"
        "1 33 33 2750 regular empty file 0:0\n1 7 0 755 directory 0:0\n"
    )
