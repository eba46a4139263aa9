"""RUN → a vertex: here-documents, mounts, environment."""

from __future__ import annotations

import os

from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import Problem
from kobako.build.dockerfile.words import heredoc_marker
from kobako.build.ops.run import RunOp
from kobako.build.worker import FileMount, RunRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.dockerfile import instructions as i
    from kobako.build.lower_mounts import RunMounts
    from kobako.build.lower_stage import LoweredStage

_SCRIPTS = "/dev/pipes"
HOSTNAME = "buildkitsandbox"
"""BuildKit's: a name that is always the same keeps results the same."""


def lower_run(stage: LoweredStage, instruction: i.Run, trigger: bool) -> None:
    """Adds the vertex of a RUN to its stage."""
    state, around = stage.state, stage.around
    for device in instruction.devices:
        if device.required:  # others are left out where they are not there, and none are
            raise stage.not_yet(
                instruction, f'RUN --device: required device "{device.name}"', device.name
            )
    expander = state.expander()
    mounts = _mounts(stage, instruction, expander)
    args, script, note = _command(stage, instruction)
    marks = [*mounts.marks] if mounts else []
    plain = [*mounts.plain] if mounts else []
    if script is not None:
        plain.append(script)
        marks.append(script.data.decode("utf-8", "surrogateescape"))
    options = around.options
    given = dict(options.build_args)
    network = instruction.network if instruction.network != "default" else options.network
    _check_entitlements(stage, instruction)
    request = RunRequest(
        id=os.urandom(32).hex(),
        layers=(),
        args=tuple(args),
        env=state.environment(),
        user=state.user,
        cwd=state.cwd,
        mounts=tuple(plain),
        network=network,
        security=instruction.security,
        hostname=given.get("BUILDKIT_SANDBOX_HOSTNAME") or HOSTNAME,
        extra_hosts=options.extra_hosts,
        shm_size=options.shm_size,
        ulimits=options.ulimits,
        epoch=stage.epoch,
    )
    op = RunOp(
        request,
        around.worker,
        marks=tuple(marks),
        stage_mounts=tuple(mounts.staged) if mounts else (),
        context_mounts=tuple(mounts.bound) if mounts else (),
        hidden_env=(*stage.lowering.arguments.proxies(), *(mounts.env if mounts else ())),
        arguments=tuple(state.arguments),
        asked=(tuple(mounts.secrets), tuple(mounts.agents)) if mounts else ((), ()),
        cache=around.cache,
        foreign="" if stage.platform == around.host else str(stage.platform),
    )
    before = stage.last_at_work
    if isinstance(before, RunOp):
        before.follow(op)
    if mounts and mounts.masked:  # the value of a secret is not to be shown, nor one it hides
        expander = Expander(
            {**expander.env, **dict.fromkeys(mounts.masked, "****")}, expander.escape
        )
    words = " ".join(instruction.text.split(None, 1)[1:])  # there may be none
    shown = expander.label(words.strip()) + note
    created_by = f"RUN {state.arguments_shown()}{' '.join(args)} # buildkit"
    inputs = tuple(mounts.inputs) if mounts else ()
    stage.vertex(instruction, f"RUN {shown}", op, inputs, created_by, trigger)


def _mounts(stage: LoweredStage, instruction: i.Run, expander: Expander) -> RunMounts | None:
    if not instruction.mounts:
        return None
    from kobako.build.lower_mounts import RunMounts

    mounts = RunMounts(stage, instruction)
    for text in instruction.mounts:
        mounts.add(text, expander.word)
    return mounts


def _check_entitlements(stage: LoweredStage, instruction: i.Run) -> None:
    """What takes the walls down has to be allowed by who builds, not by who wrote the file."""
    allowed = stage.around.options.allow
    if instruction.security == "insecure" and "security.insecure" not in allowed:
        raise Problem(
            "RUN --security=insecure needs the entitlement security.insecure:"
            " build with --allow security.insecure",
            "--security=insecure",
        )
    if instruction.network == "host" and "network.host" not in allowed:
        options = stage.around.options
        if options.network != "host":
            raise Problem(
                "RUN --network=host needs the entitlement network.host:"
                " build with --allow network.host",
                "--network=host",
            )


def _command(stage: LoweredStage, instruction: i.Run) -> tuple[list[str], FileMount | None, str]:
    """(words to execute, the script they need, what to add to the name shown)."""
    command = instruction.command
    if not command.args or (not command.shell and not command.args[0]):
        raise Problem("RUN requires a command", instruction.text)
    if not command.heredocs:
        return stage.state.command(command), None, ""
    first = command.heredocs[0]
    if heredoc_marker(command.args[0]):  # the here-document is the whole command
        lines = first.content.strip().splitlines() or [""]
        note = f" ({lines[0]}{'...' if len(lines) > 1 else ''})"
        if first.text.startswith("#!"):
            path = f"{_SCRIPTS}/{first.name}"
            script = FileMount(path, first.text.encode(), 0o755)
            shell = stage.state.command(command.replace(args=(path,)))
            return shell, script, note
        return stage.state.command(command.replace(args=(first.text,))), None, note
    bodies = "".join(f"\n{h.content}{h.name}" for h in command.heredocs)
    return stage.state.command(command.replace(args=(command.args[0] + bodies,))), None, ""
