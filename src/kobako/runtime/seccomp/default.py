"""The profile of a container that asks for none: what docker's allows and refuses.

It is an allow list. What only a capability makes harmless or useful is there with that capability;
namespaces may be neither made nor joined without CAP_SYS_ADMIN, and clone3, whose flags a filter
cannot read, does not exist then, so that libraries fall back to clone. The same list serves all
machines: names a machine does not have are passed over by every runtime.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}
ADMIN = "CAP_SYS_ADMIN"

# Files: names, contents, attributes, watches.
_FILES = """
access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat
faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown
fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat
fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64
getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown
lchown32 lgetxattr link linkat listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek
lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2
pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
removexattr removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat
splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs tee
truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write
writev
"""
# Waiting for several descriptors, and asynchronous input and output; io_uring is not among it.
_WAITING = """
epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
epoll_wait_old eventfd eventfd2 io_cancel io_destroy io_getevents io_pgetevents
io_pgetevents_time64 io_setup io_submit _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64
select
"""
_MEMORY = """
brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2
mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free
pkey_mprotect process_mrelease remap_file_pages
"""
# Processes and threads, who they are, and what they may use.
_PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64
futex_wait futex_waitv futex_wake getcpu getegid getegid32 geteuid geteuid32 getgid getgid32
getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid
getresuid32 getrlimit get_robust_list getrusage getsid get_thread_area gettid getuid getuid32
ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset landlock_restrict_self modify_ldt
pidfd_open prctl prlimit64 process_vm_readv process_vm_writev ptrace riscv_hwprobe rseq
sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid
setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid
setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid
set_thread_area set_tid_address setuid setuid32 ugetrlimit uretprobe vfork wait4 waitid waitpid
"""
_SIGNALS = """
alarm kill pause pidfd_send_signal restart_syscall rt_sigaction rt_sigpending rt_sigprocmask
rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
sigaltstack signalfd signalfd4 sigprocmask sigreturn tgkill tkill
"""
_TIME = """
adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer
time timer_create timer_delete timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
timerfd_settime64 timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 times
"""
# Sockets, and System V's and POSIX' ways between processes.
_BETWEEN = """
accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify
mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl
msgget msgrcv msgsnd recv recvfrom recvmmsg recvmmsg_time64 recvmsg semctl semget semop semtimedop
semtimedop_time64 send sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown
socketcall socketpair
"""
_MACHINE = "getrandom sysinfo uname"
_ARM = """
arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2
"""
_X86 = ("arch_prctl", "modify_ldt")

_OF_CAPABILITIES = (
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (ADMIN, """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
        lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount
        open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount
        umount2 unshare
        """),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
)  # fmt: skip

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES = 0x7E020000
_ENOSYS = 38
_AF_ALG, _AF_VSOCK = 38, 40  # the kernel's cryptography; the machine under a virtual one
# personality(2): PER_LINUX, PER_LINUX32, each with UNAME26; and the question which one it is
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def section(capabilities: Collection[str], machine: str) -> dict[str, Any]:
    """`linux.seccomp` of the runtime-spec for a process whose bounding set has `capabilities`, on a
    `machine` as uname(2) spells it."""
    arm, x86 = machine == "aarch64", machine == "x86_64"
    words = [_FILES, _WAITING, _MEMORY, _PROCESSES, _SIGNALS, _TIME, _BETWEEN, _MACHINE]
    names = " ".join(words + ([_ARM] if arm else [])).split()
    if not x86:
        names = [n for n in names if n not in _X86]
    rules = [_rule(names)]
    for capability, listed in _OF_CAPABILITIES:
        if capability in capabilities:
            rules.append(_rule(listed.split()))
    rules += [
        _rule(["socket"], _condition(0, _AF_ALG, "SCMP_CMP_LT")),
        _rule(["socket"], _condition(0, _AF_ALG + 1, "SCMP_CMP_EQ")),
        _rule(["socket"], _condition(0, _AF_VSOCK, "SCMP_CMP_GT")),
    ]
    rules += [_rule(["personality"], _condition(0, v, "SCMP_CMP_EQ")) for v in _PERSONALITIES]
    if ADMIN not in capabilities:
        rules.append(_rule(["clone"], _condition(0, _NAMESPACES, "SCMP_CMP_MASKED_EQ")))
        rules.append({"names": ["clone3"], "action": ERRNO, "errnoRet": _ENOSYS})
    return {
        "defaultAction": ERRNO,
        "defaultErrnoRet": 1,
        "architectures": list(ARCHITECTURES.get(machine, ())),
        "syscalls": rules,
    }


def _rule(names: list[str], *conditions: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": ALLOW}
    if conditions:
        rule["args"] = list(conditions)
    return rule


def _condition(index: int, value: int, operator: str) -> dict[str, Any]:
    return {"index": index, "value": value, "op": operator}
