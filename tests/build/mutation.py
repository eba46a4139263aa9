"""Dockerfiles gone wrong: real ones with words, characters and lines changed, always alike."""

from __future__ import annotations

import random

SEEDS = (
    "# syntax=docker/dockerfile:1\n# check=skip=all\nARG TAG=latest\nFROM base:${TAG} AS build\n"
    "WORKDIR /src\nCOPY --link --chown=1:1 go.mod go.sum ./\n"
    "RUN --mount=type=cache,target=/c,sharing=locked,id=x make\nCOPY . .\n"
    'FROM scratch\nCOPY --from=build /src/app /app\nENTRYPOINT ["/app"]\nCMD ["--help", "x"]\n',
    "FROM base\nENV A=1 B=\"two $A\" C='$x' \\\n  D=${A:-no} E=${A#1} F=${B/t/T} G=${Z:+z}\n"
    'LABEL a.b=c "d e"=f\nEXPOSE 80 443/tcp 8000-8010/udp\nVOLUME ["/v", "/w"]\n'
    "HEALTHCHECK --interval=1m30s --timeout=3s --retries=3 CMD curl -f http://localhost/ || false\n"
    'STOPSIGNAL SIGTERM\nUSER me:us\nSHELL ["/bin/sh", "-ec"]\nCMD echo $A\n',
    "FROM --platform=$BUILDPLATFORM base AS one\nRUN <<EOF\necho a\necho b\nEOF\n"
    "COPY <<-'A' <<B /d/\n\ta $x\nA\nb ${y}\nB\nRUN <<S1 cat && <<-\"S2\" cat\n1\nS1\n\t2\n\tS2\n"
    "FROM one AS two\nADD --checksum=sha256:0000 https://example.org/x.tar.gz /x\n"
    "ADD --keep-git-dir=true https://example.org/r.git#main:sub /g\nADD --unpack=true d.tar /t\n",
    "# escape=`\nFROM base\nRUN echo a `\n  b `\n# in between\n\n  c\nCOPY d\\f C:`\\x\n"
    "ENV P=C:`\\`\n",
    "FROM base\nONBUILD COPY . /x\nONBUILD RUN make\nMAINTAINER A B <a@b>\n"
    "RUN --mount=type=bind,from=base,source=/etc,target=/e,rw --mount=type=tmpfs,target=/t,size=64m"
    " --mount=type=secret,id=k,env=K,required --mount=type=ssh --network=none --security=sandbox"
    " x\n"
    "COPY --parents --exclude=*.o --exclude=**/x a/./b/*.c d/ /p/\n"
    "COPY --chmod=u+rwX,go= a? [b-d]* /q/\n"
    'ADD --chmod=0644 a "quoted name" /r/\nHEALTHCHECK NONE\nARG x=1 y z=$x\n',
    "ARG A\nARG B=${A:?no} C=$A\nFROM ${B:-base} AS s1\nFROM s1 AS s2\nFROM base@sha256:"
    + "0" * 64
    + "\nCOPY --from=0 / /\nCOPY --from=s2 / /b/\nFROM scratch AS s1\n",
)

WORDS = (
    "FROM RUN COPY ADD ENV ARG LABEL WORKDIR USER EXPOSE VOLUME CMD ENTRYPOINT SHELL STOPSIGNAL"
    " HEALTHCHECK ONBUILD MAINTAINER AS as base scratch --from=0 --from=build"
    " --platform=linux/amd64"
    " --mount=type=cache,target=/x --mount= --chown=0:0 --chmod=777 --link=maybe --exclude=[ -- --"
    ' --interval=1y $A ${A ${A} ${A:-$B} ${A//x/y} ${:x} ${A:} $ $$ \\$A << <<E <<-E <<\'E <<"E"'
    ' 0<<E [ ] ["a", ["a"] [1] {} \\ ` # #check=skip=all #escape=` =x a= =  \' " "" , : / . ..'
    " * ** ? [a-] [^a] ! 99999 -1 1-0 80/xxx SIG NONE \\n \ufeff é 漢字 🎁 ﬁ İ ß \u2028 \x85 \xa0"
).split(" ")
CHARACTERS = (
    "\0\x01\x1c\x1f\x7f\x0b\x0c\r\n\t \"'\\`$#{}[]<>=,:;/.*?!-+~\u2028\x85\xa0\ufeff\udc80é漢"
)


def mutated(number: int) -> str:
    """The `number`th Dockerfile: one to four changes of a real one."""
    dice = random.Random(number)
    text = dice.choice(SEEDS)
    for _ in range(dice.randint(1, 4)):
        text = dice.choice(_CHANGES)(dice, text)
    return text


def _word(dice: random.Random, text: str) -> str:
    words = text.split(" ")
    words[dice.randrange(len(words))] = dice.choice(WORDS)
    return " ".join(words)


def _added_word(dice: random.Random, text: str) -> str:
    at = dice.randint(0, len(text))
    return text[:at] + dice.choice((" ", "", "\n")) + dice.choice(WORDS) + text[at:]


def _character(dice: random.Random, text: str) -> str:
    at = dice.randint(0, len(text))
    return text[:at] + dice.choice(CHARACTERS) * dice.choice((1, 1, 2, 300)) + text[at:]


def _lost(dice: random.Random, text: str) -> str:
    at = dice.randint(0, len(text))
    return text[:at] + text[at + dice.choice((1, 1, 2, 10)) :]


def _cut(dice: random.Random, text: str) -> str:
    return text[: dice.randint(0, len(text))]


def _lines(dice: random.Random, text: str) -> str:
    lines = text.split("\n")
    dice.shuffle(lines)
    return "\n".join(lines)


def _spliced(dice: random.Random, text: str) -> str:
    other = dice.choice(SEEDS)
    return text[: dice.randint(0, len(text))] + other[dice.randint(0, len(other)) :]


def _case(dice: random.Random, text: str) -> str:
    return dice.choice((str.swapcase, str.lower, str.upper, str.title))(text)


def _endings(dice: random.Random, text: str) -> str:
    return text.replace("\n", dice.choice(("\r\n", "\r", "\\\n", " \\\n\n", "\n\n")))


_CHANGES = (
    _word, _word, _added_word, _added_word, _character, _character, _lost, _cut, _lines, _spliced,
    _case, _endings,
)  # fmt: skip
