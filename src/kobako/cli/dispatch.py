"""From the words of the command line to one verb's module."""

from __future__ import annotations

import os
import sys

from kobako.cli import verbs

PROGRAM = "kobako"


def main(argv: list[str]) -> None:
    """Run the verb `argv` names and end the process with its exit code."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from kobako.cli import unforeseen

        unforeseen.open_missing_streams()
    # Names are bytes: those that are not UTF-8 are printed as they are, whatever the locale is.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]  # a text file
    try:
        code = run(argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 141  # the reader went away, as a shell reports SIGPIPE
    except Exception as fault:
        code = _unforeseen(fault)
    # Not sys.exit: tearing the interpreter down costs 3 ms and there is nothing left to do.
    try:
        sys.stderr.flush()
    except OSError:
        pass
    finally:
        os._exit(code)


def _unforeseen(fault: Exception) -> int:
    from kobako.cli import unforeseen

    try:
        sys.stderr.write(unforeseen.text(fault, os.environ) + "\n")
    except OSError:
        pass
    return 1


def run(words: list[str]) -> int:
    """The exit code of the command `words`; everything it has to say is printed."""
    words, environ = _global_flags(words)
    if not words or words[0] in ("--help", "-h", "help"):
        if words[1:]:
            return run([*words[1:], "--help"])
        from kobako.cli import help_text

        return help_text.overview(PROGRAM)
    if words[0] in ("--version", "-v"):
        from kobako import __version__

        print(f"kobako version {__version__}")
        return 0
    if words[0] == "__complete":
        from kobako.cli import complete
        from kobako.cli.context import Context

        return complete.main(Context(environ), words[1:])
    name, module, rest = verbs.find(words)
    if module is None:
        from kobako.cli import help_text

        return help_text.no_verb(PROGRAM, name, rest)
    return _verb(name, module, rest, environ)


def _verb(name: str, module: str, words: list[str], environ: dict[str, str]) -> int:
    from kobako.cli import flags
    from kobako.cli.context import Context, error_text
    from kobako.errors import KobakoError

    verb = verbs.load(module)
    command = verb.COMMAND.replace(name=name)
    context = Context(environ)
    try:
        values, rest = flags.parse(command, words)
        flags.check_count(PROGRAM, command, len(rest))
    except flags.Help:
        from kobako.cli import help_text

        print(help_text.of_verb(PROGRAM, command))
        return 0
    except flags.UsageError as fault:
        if fault.args[0].startswith('"'):
            context.err(f"{PROGRAM}: {fault}" if "\n" not in str(fault) else str(fault))
            return 1
        context.err(f"{fault}\nSee '{PROGRAM} {name} --help'.")
        return 125
    try:
        code: int = verb.main(context, values, rest)
        return code
    except flags.Refused as fault:
        prefix = "" if isinstance(fault, flags.BadValue) else f"{PROGRAM}: "
        context.err(f"{error_text(fault, prefix)}\nSee '{PROGRAM} {name} --help'.")
        return 125
    except KobakoError as fault:
        if getattr(verb, "STARTS_CONTAINERS", False) and getattr(fault, "of_a_start", True):
            text = error_text(fault, f"{PROGRAM}: ")
            if fault.exit_code > 1:  # the command line was right
                context.err(text)
                return fault.exit_code
            context.err(f"{text}\nSee '{PROGRAM} {name} --help'.")
            return 125
        context.err(error_text(fault))
        return fault.exit_code
    except OSError as fault:
        if isinstance(fault, BrokenPipeError) or not getattr(verb, "STARTS_CONTAINERS", False):
            raise
        _unforeseen(fault)
        return 125


def _global_flags(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """`--root DIR`, `--config DIR` and `--mode X` before the verb stand for the environment."""
    environ = dict(os.environ)
    known = {"--root": "KOBAKO_ROOT", "--config": "DOCKER_CONFIG", "--mode": "KOBAKO_MODE"}
    while words:
        name, equals, value = words[0].partition("=")
        if name not in known:
            break
        if not equals:
            if len(words) < 2:
                sys.stderr.write(f"flag needs an argument: {name}\n")
                os._exit(125)
            value, words = words[1], words[1:]
        environ[known[name]] = value
        words = words[1:]
    return words, environ
