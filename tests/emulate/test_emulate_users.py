"""Users of a container: identities, what they may do, what they make."""

from __future__ import annotations

from mode_c_container import Container


def test_identity_follows_fork_exec_and_daemons(container: Container) -> None:
    said = container.python("""
import os, sys, time
print(os.getresuid(), os.getresgid(), os.getgroups())
r, w = os.pipe()
if os.fork() == 0:
    os.setgroups([7, 3]); os.setgid(33); os.setuid(33)
    if os.fork() == 0:                       # a daemon: its parent is gone before it asks
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.2)
            os.dup2(w, 1)
            os.execlp("sh", "sh", "-c", "id -u; id -G")
        os._exit(0)
    os._exit(0)
os.close(w)
print(open(r).read().split())
print(os.getuid())
""")
    assert said == "(0, 0, 0) (0, 0, 0) [0]\n['33', '33', '3', '7']\n0\n"


def test_the_rules_of_credentials(container: Container) -> None:
    said = container.python("""
import os, ctypes, sys
def tried(call, *args):
    try: call(*args)
    except PermissionError: return "EPERM"
    return os.getresuid()
def child(work):
    pid = os.fork()
    if pid == 0:
        work(); sys.stdout.flush(); os._exit(0)
    os.waitpid(pid, 0)
def temporarily():
    os.seteuid(5); print(tried(os.setuid, 6))
    print(tried(os.seteuid, 0)); print(tried(os.setuid, 6))
    print(tried(os.setuid, 0), tried(os.setreuid, 0, 0), tried(os.setgid, 0), tried(os.setgid, 1))
def swap():
    os.setreuid(1, 2); print(os.getresuid()); os.setreuid(2, 1); print(os.getresuid())
    print(tried(os.setresuid, 3, -1, -1), tried(os.setresuid, -1, 2, -1), tried(os.setgroups, [1]))
def fs():
    libc = ctypes.CDLL(None)
    print(libc.setfsuid(9), libc.setfsuid(-1)); open("fs", "w").close(); print(os.stat("fs").st_uid)
def bad():
    for call in (lambda: os.setuid(-1),):
        try: call()
        except OSError as e: print(e.strerror)
for work in (temporarily, swap, fs, bad): child(work)
print(os.getresuid(), flush=True)
""")
    assert said == (
        "EPERM\n(0, 0, 0)\n(6, 6, 6)\nEPERM EPERM (6, 6, 6) EPERM\n"
        "(1, 2, 2)\n(2, 1, 1)\nEPERM (2, 2, 1) EPERM\n0 9\n9\nInvalid argument\n(0, 0, 0)\n"
    )


def test_what_a_user_may_not(container: Container) -> None:
    said = container.sh("""
        touch roots mine; chown 1000:1000 mine; mkdir -m 777 open
        cat > t.py <<'END'
import os
os.setgroups([50]); os.setgid(1000); os.setuid(1000)
def tried(name, *args, **more):
    try: getattr(os, name)(*args, **more)
    except OSError as e: print(name, args, e.strerror)
    else: print(name, args, "ok")
tried("chown", "roots", 1000, 1000); tried("chown", "mine", 1000, 50)
tried("chown", "mine", -1, 51)
tried("chown", "mine", 0, -1); tried("chown", "roots", -1, -1)
tried("chmod", "roots", 0o777); tried("chmod", "mine", 0o600)
tried("mknod", "open/dev", 0o20600, 0x103); tried("mknod", "open/fifo", 0o10600)
END
        python3 t.py; stat -c '%u %g %a' mine roots
    """)
    assert said == (
        "chown ('roots', 1000, 1000) Operation not permitted\nchown ('mine', 1000, 50) ok\n"
        "chown ('mine', -1, 51) Operation not permitted\n"
        "chown ('mine', 0, -1) Operation not permitted\nchown ('roots', -1, -1) ok\n"
        "chmod ('roots', 511) Operation not permitted\nchmod ('mine', 384) ok\n"
        "mknod ('open/dev', 8576, 259) Operation not permitted\n"
        "mknod ('open/fifo', 4480) ok\n1000 50 600\n0 0 644\n"
    )


def test_what_a_user_makes_is_its_own(container: Container) -> None:
    said = container.sh("""
        mkdir -m 777 w; mkdir -m 2777 g; chown 0:50 g
        cat > t.py <<'END'
import os, socket, tempfile
os.setgid(1000); os.setuid(1000); os.umask(0o027)
for d in ("w", "g"):
    os.chdir("/" + d)
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o666)); os.mkdir("dir")
    os.symlink("x", "link"); os.mkfifo("fifo"); socket.socket(socket.AF_UNIX).bind("sock")
    open("/" + d + "/abs", "x").write("hello")
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o666)
    print(os.fstat(fd).st_uid, os.fstat(fd).st_gid)
    print(open("abs").read(), open("abs", "a").tell())
    try: open("abs", "x")
    except FileExistsError: print("exists")
END
        python3 t.py; stat -c '%n %u:%g %a' w/* g/*
        umask 022; touch g/root; mkdir g/rootdir; ln -s x g/rootlink; stat -c '%n %u:%g %a' g/root*
    """)
    assert said == (
        "1000 1000\nhello 5\nexists\n1000 50\nhello 5\nexists\n"
        "w/abs 1000:1000 640\nw/dir 1000:1000 750\nw/fifo 1000:1000 640\nw/file 1000:1000 640\n"
        "w/link 1000:1000 777\nw/sock 1000:1000 750\n"
        "g/abs 1000:50 640\ng/dir 1000:50 2750\ng/fifo 1000:50 640\ng/file 1000:50 640\n"
        "g/link 1000:50 777\ng/sock 1000:50 750\n"
        "g/root 0:50 644\ng/rootdir 0:50 2755\ng/rootlink 0:50 777\n"
    )


def test_set_user_id_programs(container: Container) -> None:
    said = container.sh("""
        cp /usr/bin/id /id; chmod 4755 /id; cp /usr/bin/id /idg; chown 0:42 /idg; chmod 2755 /idg
        cp /usr/bin/id /idman; chown 6 /idman; chmod 4755 /idman; /idman -u; /idman -ru
        printf '#!/bin/sh\\nid -u\\n' > /script; chmod 4755 /script
        cat > t.py <<'END'
import os, subprocess
os.setgid(1000); os.setuid(1000)
run = lambda *a: print(subprocess.run(a, stdout=-1, stderr=-2, text=True).stdout.strip())
run("/id", "-u"); run("/id", "-ru"); run("/idg", "-g"); run("/idg", "-rg"); run("/script")
run("setpriv", "--no-new-privs", "/id", "-u"); run("id", "-u")
END
        python3 t.py
    """)
    assert said == "6\n0\n0\n1000\n42\n1000\n1000\n1000\n1000\n"


def test_su_setpriv_useradd_and_passwd(container: Container) -> None:
    said = container.sh("""
        useradd -m -u 1234 -G mail -s /bin/sh tester; id tester; stat -c '%U:%G %a' /home/tester
        su tester -c 'id -u; id -G; touch ~/x; stat -c %U ~/x'
        su tester -c 'chmod 700 /etc 2>&1 | cut -c1-30'
        su - tester -c 'cp /etc/passwd ~/p; stat -c %U:%G ~/p'
        setpriv --reuid=tester --regid=tester --init-groups sh -c 'id -un; id -Gn'
        setpriv --reuid=33 --clear-groups --inh-caps=-all id -u
        stat -c '%U:%G %a' /etc/shadow /etc/gshadow
        usermod -g 33 tester; userdel -r tester 2>/dev/null; test ! -e /home/tester
    """)
    assert said.split("\n")[:12] == [
        "uid=1234(tester) gid=1234(tester) groups=1234(tester),8(mail)", "tester:tester 755",
        "1234", "1234 8", "tester", "chmod: changing permissions of", "tester:tester",
        "tester", "tester mail", "33", "root:shadow 640", "root:shadow 640",
    ]  # fmt: skip


def test_keeping_capabilities(container: Container) -> None:
    said = container.python("""
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def caps():
    out = ctypes.create_string_buffer(24)
    assert libc.capget(struct.pack("<Ii", 0x20080522, 0), out) == 0
    w = struct.unpack("<6I", out.raw); return w[0] & 1, w[1] & 1
def child(keep):
    if os.fork() == 0:
        libc.prctl(8, keep, 0, 0, 0); print(caps(), libc.prctl(7, 0, 0, 0, 0))
        open("f%d" % keep, "w").close()
        os.setuid(5); print(caps())
        r = libc.capset(struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", 1, 1, 0, 0, 0, 0))
        print(r, caps())
        try: os.chown("f%d" % keep, 6, 6); print("chown", os.stat("f%d" % keep).st_uid)
        except PermissionError: print("EPERM")
        sys.stdout.flush(); os._exit(0)
    os.wait()
child(0); child(1)
""")
    assert said == ("(1, 1) 0\n(0, 0)\n-1 (0, 0)\nEPERM\n(1, 1) 1\n(0, 1)\n0 (1, 1)\nchown 6\n")


def test_a_socket_says_who_is_at_the_other_end(container: Container) -> None:
    said = container.python("""
import os, socket, struct, time
server = socket.socket(socket.AF_UNIX); server.bind("s"); server.listen()
os.chmod("s", 0o777)
pid = os.fork()
if pid == 0:
    os.setgid(44); os.setuid(33)
    c = socket.socket(socket.AF_UNIX); c.connect("s"); c.recv(1); os._exit(0)
c, _ = server.accept()
print(struct.unpack("3i", c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)) == (pid, 33, 44))
c.send(b"x"); os.waitpid(pid, 0)
""")
    assert said == "True\n"


def test_threads_share_their_process_s_identity(container: Container) -> None:
    said = container.python("""
import os, threading
seen = []
def look(): seen.append(os.getuid())
os.setuid(77)
threads = [threading.Thread(target=look) for _ in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
print(set(seen))
""")
    assert said == "{77}\n"
