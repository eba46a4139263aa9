"""The overlay driver: layers stacked by the kernel, changes kept in `upper`."""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.linux.mount import Mount
from kobako.snapshot.driver import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.layer.change import Change
    from kobako.linux.ownership import Owners

_MOST_LOWERS = 500  # OVL_MAX_STACK


class OverlayDriver(Driver):
    """overlayfs; `userxattr` (Linux 5.11) where the process is not the machine's root.

    redirect_dir, metacopy and index are off, so that `upper` is a plain tree that packs, compares
    and can become a layer. More than a page of lower directories is `Mount.apply`'s affair.
    """

    name = "overlay"
    adoptable = True

    def __init__(self, form: str) -> None:
        self.form = form

    def prepare(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        *,
        merged: bool = True,
    ) -> None:
        for part in ("upper", "work", "rootfs") if merged else ("upper",):
            os.makedirs(f"{dir}/{part}", mode=0o755, exist_ok=True)
        os.chmod(f"{dir}/upper", 0o755)  # whatever the umask is
        if lowers:
            self._inherit_root(f"{dir}/upper", lowers)

    def _inherit_root(self, upper: str, lowers: Sequence[str]) -> None:
        """The merged root directory shows upper's mode and owner: give it those of the image."""
        info = os.stat(lowers[0])
        mine = os.stat(upper)
        if mine.st_mode != info.st_mode:
            os.chmod(upper, info.st_mode & 0o7777)
        if (mine.st_uid, mine.st_gid) != (info.st_uid, info.st_gid):
            os.chown(upper, info.st_uid, info.st_gid)
        if self.form == "emulated":
            from kobako.linux.ownership import XATTR

            try:
                os.setxattr(upper, XATTR, os.getxattr(lowers[0], XATTR))
            except OSError:
                pass  # the root of nearly every image is 0:0, which needs no note

    def mounts(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        *,
        volatile: bool = False,
        readonly: bool = False,
    ) -> tuple[Mount, ...]:
        flags = ("ro",) if readonly else ()
        if not lowers:
            return (Mount("none", f"{dir}/upper", f"{dir}/rootfs", ("bind", *flags)),)
        if len(lowers) > _MOST_LOWERS:
            raise Invalid(
                f"{len(lowers)} layers: overlay stacks at most {_MOST_LOWERS}",
                hint="squash the image",
            )
        options = [
            "lowerdir=" + ":".join(_escape(p).replace(":", "\\:") for p in lowers),
            f"upperdir={_escape(dir)}/upper",
            f"workdir={_escape(dir)}/work",
        ]
        if self.form == "native":
            options += ["redirect_dir=off", "metacopy=off", "index=off"]
        else:
            options.append("userxattr")
        if volatile:
            options.append("volatile")
        return (Mount("overlay", "overlay", f"{dir}/rootfs", flags, ",".join(options)),)

    def renew(self, dir: str) -> None:  # noqa: A002
        # The kernel's mark of a volatile mount (work/incompat/volatile) forbids a second one.
        from kobako.snapshot.driver import remove_tree

        remove_tree(f"{dir}/work")
        os.mkdir(f"{dir}/work", 0o755)

    def diff(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        idle: list[str] | None = None,
    ) -> list[Change]:
        from kobako.snapshot.overlay_diff import diff

        return diff(f"{dir}/upper", lowers, self.form, idle)

    def strip(self, dir: str, idle: Sequence[str]) -> None:  # noqa: A002
        from kobako.snapshot.overlay_diff import strip

        strip(f"{dir}/upper", idle)

    def usage(self, dir: str) -> int:  # noqa: A002
        from kobako.snapshot.usage import size_of_tree

        return size_of_tree(f"{dir}/upper")

    def remove(self, dir: str) -> None:  # noqa: A002
        from kobako.snapshot.driver import remove_tree

        for part in ("work", "upper", "owners"):
            remove_tree(f"{dir}/{part}")
        for path in (f"{dir}/rootfs", dir):
            try:
                os.rmdir(path)
            except OSError:
                pass  # others keep things here too, or it is gone already

    def owners(self, dir: str, lowers: Sequence[str]) -> Owners:  # noqa: A002
        from kobako.snapshot.merge import merged_owners

        return merged_owners([f"{dir}/upper", *lowers], self.form)


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(",", "\\,")
