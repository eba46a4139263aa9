"""kobako completion"""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "completion",
    "completion bash|zsh|fish",
    "Print a shell completion script (bash, zsh, fish)",
    (),
    1,
    1,
    completes="bash zsh fish",
)

_SCRIPTS = {
    "bash": """\
_kobako() {
    local IFS=$'\\n'
    COMPREPLY=($(kobako __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    if [ ${#COMPREPLY[@]} -eq 0 ]; then
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    fi
}
complete -o filenames -F _kobako kobako
""",
    "zsh": """\
#compdef kobako
_kobako() {
    local -a words_found
    words_found=("${(@f)$(kobako __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${words_found[1]}" ]]; then
        compadd -Q -- "${words_found[@]}"
    else
        _files
    fi
}
compdef _kobako kobako
""",
    "fish": """\
function __kobako_complete
    set -l words (commandline -opc) (commandline -ct)
    kobako __complete $words[2..-1] 2>/dev/null
end
complete -c kobako -a '(__kobako_complete)'
""",
}


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.errors import Invalid

    script = _SCRIPTS.get(words[0])
    if script is None:
        raise Invalid(f"unknown shell {words[0]!r}: use bash, zsh or fish")
    context.write(script)
    return 0
