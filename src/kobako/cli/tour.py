"""kobako tour: the tutorial as one command, without a network"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.cli.tour_stage import Stage

COMMAND = Command(
    "tour",
    "tour [OPTIONS]",
    "Walk through the tutorial, without a network",
    (
        Flag("directory", "", TEXT, "Work in this new directory instead of a temporary one"),
        Flag("keep", "", BOOL, "Leave the registry running and the images for you to play with"),
    ),
    most=0,
)

DOCKERFILE = """\
FROM python

WORKDIR ./app

RUN echo 'print("Hello World!")' > hello.py

CMD python hello.py
"""


def main(context: Context, values: Values, words: list[str]) -> int:
    import os
    import shutil
    import tempfile

    from kobako.cli.tour_stage import Stage, TourFailed

    directory = values.text("directory")
    if directory:
        os.makedirs(directory)
    else:
        directory = tempfile.mkdtemp(prefix="kobako-tour-")
    stage = Stage(os.path.abspath(directory), context.environ)
    try:
        _walk(stage)
    except TourFailed as fault:
        context.err(f"\nThe tour failed: {fault}\nIts directory is left for you: {directory}")
        stage.end()
        return 1
    except BaseException:
        stage.end()
        raise
    if values.on("keep"):
        context.out(f"\n{stage.how_to_go_on()}")
        return 0
    stage.end()
    stage.remove_stores()
    shutil.rmtree(directory, ignore_errors=True)
    context.out("\nThe tour went through to its end.")
    return 0


def _walk(stage: Stage) -> None:
    _prepare(stage)
    _by_hand(stage)
    _by_dockerfile(stage)
    _publish(stage)


def _prepare(stage: Stage) -> None:
    """A registry on loopback, and in it the image everybody starts from."""
    stage.say("A registry of our own answers for docker.io, on this machine alone.")
    stage.start_hub()
    stage.say("A base image, made of this machine's own programs.")
    stage.run("image from-host --name python bash python3 coreutils", quiet=True)
    stage.run("login --username admin --password-stdin", stdin=stage.admin_password)
    stage.run("push python", expect=["The push refers to repository [docker.io/library/python]"])
    stage.run("logout")  # what follows is done by another account
    stage.run("rmi python", expect=["Untagged: python:latest"])


def _by_hand(stage: Stage) -> None:
    """Creating an image by hand."""
    stage.say("Creating an image by hand: run, change, commit.")
    prompt = r"root@[^ ]+:/# "
    stage.run(
        "run --name python-demo -ti python bash",
        expect=["Unable to find image 'python:latest' locally", "\nHello World!\n"],
        talk=[
            (prompt, "echo 'print(\"Hello World!\")' > hello.py"),
            (prompt, "python hello.py"),
            (prompt, "exit"),
        ],
    )
    stage.run("ps", expect=["CONTAINER ID"], refuse=["python-demo"])
    stage.run("ps -a", expect=['"bash"', "Exited (0)", "python-demo"])
    stage.run("commit python-demo python-custom", expect=["sha256:"])
    stage.run("images", expect=["REPOSITORY", "python-custom", "python "])
    stage.run("run python-custom python hello.py", expect=["Hello World!"])


def _by_dockerfile(stage: Stage) -> None:
    """Creating an image by a Dockerfile."""
    stage.say("Creating an image by a Dockerfile.")
    stage.write("Dockerfile", DOCKERFILE)
    stage.run(
        "build -t python-dockerfile .",
        expect=[
            "Step 1/4 : FROM python",
            "Step 2/4 : WORKDIR ./app",
            "---> Running in",
            "Removing intermediate container",
            "Successfully built",
            "Successfully tagged python-dockerfile:latest",
        ],
    )
    stage.run("images", expect=["python-dockerfile"])
    stage.run("run python-dockerfile", expect=["Hello World!"])


def _publish(stage: Stage) -> None:
    """Pushing it to a registry, and pulling it into an empty store."""
    stage.say("Publishing: tag, login, push.")
    stage.run("tag python-dockerfile account/python-dockerfile")
    stage.run(
        "login",
        expect=["Login Succeeded"],
        talk=[(r"Username[^:]*: ", "account"), (r"Password: ", stage.account_password)],
    )
    stage.run(
        "push account/python-dockerfile",
        expect=[
            "The push refers to repository [docker.io/account/python-dockerfile]",
            ": Pushed",
            ": Mounted from library/python",
            "latest: digest: sha256:",
        ],
    )
    stage.say("Any other machine (here: an empty store) can now pull and run it.")
    stage.empty_store()
    stage.run("pull account/python-dockerfile", expect=["Pull complete", "Digest: sha256:"])
    stage.run("run --rm account/python-dockerfile", expect=["Hello World!"])
