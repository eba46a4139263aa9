"""Every word `kobako` knows: verb -> (module of this room, summary); groups -> verbs.

Only this table is read to find a verb: the module it names is the only one imported.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

COMMON: dict[str, tuple[str, str]] = {
    "run": ("run", "Create and run a new container from an image"),
    "exec": ("exec", "Execute a command in a running container"),
    "ps": ("ps", "List containers"),
    "build": ("build", "Build an image from a Dockerfile"),
    "commit": ("commit", "Create a new image from a container's changes"),
    "pull": ("pull", "Download an image from a registry"),
    "push": ("push", "Upload an image to a registry"),
    "images": ("images", "List images"),
    "login": ("login", "Authenticate to a registry"),
    "logout": ("logout", "Log out from a registry"),
    "version": ("version", "Show the kobako version information"),
    "info": ("info", "Display system-wide information: privilege mode, drivers, storage"),
    "tour": ("tour", "Walk through the tutorial, without a network"),
}

VERBS: dict[str, tuple[str, str]] = {
    "attach": ("attach", "Attach local standard input, output, and error streams to a container"),
    "bake": ("bake", "Build from a file"),
    "capture": ("commit", "Alias of commit"),
    "cp": ("cp", "Copy files/folders between a container and the local filesystem"),
    "create": ("create", "Create a new container"),
    "diff": ("diff", "Inspect changes to files or directories on a container's filesystem"),
    "events": ("events", "Show what happens to containers, images and volumes as it happens"),
    "export": ("export", "Export a container's filesystem as a tar archive"),
    "fsck": ("fsck", "Check the whole store, and repair it with --repair"),
    "history": ("history", "Show the history of an image"),
    "import": ("import_", "Import the contents from a tarball to create a filesystem image"),
    "inspect": ("inspect", "Return low-level information on kobako objects"),
    "kill": ("kill", "Kill one or more running containers"),
    "load": ("load", "Load an image from a tar archive or STDIN"),
    "logs": ("logs", "Fetch the logs of a container"),
    "pause": ("pause", "Pause all processes within one or more containers"),
    "port": ("port", "List port mappings or a specific mapping for the container"),
    "prune": ("system_prune", "Remove unused data (alias of system prune)"),
    "rename": ("rename", "Rename a container"),
    "restart": ("restart", "Restart one or more containers"),
    "rm": ("rm", "Remove one or more containers"),
    "rmi": ("rmi", "Remove one or more images"),
    "save": ("save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "search": ("search", "Search a registry for images"),
    "start": ("start", "Start one or more stopped containers"),
    "stats": ("stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("stop", "Stop one or more running containers"),
    "tag": ("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "top": ("top", "Display the running processes of a container"),
    "unpause": ("unpause", "Unpause all processes within one or more containers"),
    "update": ("update", "Update configuration of one or more containers"),
    "wait": ("wait", "Block until one or more containers stop, then print their exit codes"),
    "completion": ("completion", "Print a shell completion script (bash, zsh, fish)"),
}

HIDDEN: dict[str, tuple[str, str]] = {
    "__probe": ("probe", ""),
    "__reap": ("reap", ""),
    "__restart": ("restart_again", ""),
}
"""Verbs kobako says to itself."""

GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "builder": (
        "Manage builds",
        {
            "build": "build",
            "cache-mount": "builder_cache_mount",
            "du": "builder_du",
            "prune": "builder_prune",
        },
    ),
    "buildx": (
        "Manage builds, by docker's other name",
        {
            "bake": "bake",
            "build": "build",
            "du": "builder_du",
            "imagetools": "imagetools",
            "prune": "builder_prune",
        },
    ),
    "container": (
        "Manage containers",
        {
            "attach": "attach",
            "commit": "commit",
            "cp": "cp",
            "create": "create",
            "diff": "diff",
            "exec": "exec",
            "export": "export",
            "inspect": "container_inspect",
            "kill": "kill",
            "logs": "logs",
            "ls": "ps",
            "list": "ps",
            "ps": "ps",
            "pause": "pause",
            "port": "port",
            "prune": "container_prune",
            "rename": "rename",
            "restart": "restart",
            "rm": "rm",
            "run": "run",
            "start": "start",
            "stats": "stats",
            "stop": "stop",
            "top": "top",
            "unpause": "unpause",
            "update": "update",
            "wait": "wait",
        },
    ),
    "hub": (
        "Serve a registry of your own",
        {"serve": "hub_serve", "user": "hub_user", "gc": "hub_gc"},
    ),
    "image": (
        "Manage images",
        {
            "build": "build",
            "from-host": "from_host",
            "history": "history",
            "import": "import_",
            "inspect": "image_inspect",
            "load": "load",
            "ls": "images",
            "list": "images",
            "prune": "image_prune",
            "pull": "pull",
            "push": "push",
            "rm": "rmi",
            "save": "save",
            "tag": "tag",
        },
    ),
    "manifest": ("Look at manifests in registries", {"inspect": "manifest_inspect"}),
    "network": (
        "Manage networks: the host's and none are all there are",
        {
            "connect": "network_change",
            "create": "network_change",
            "disconnect": "network_change",
            "inspect": "network_inspect",
            "ls": "network_ls",
            "list": "network_ls",
            "rm": "network_change",
        },
    ),
    "system": (
        "Manage kobako",
        {
            "df": "system_df",
            "events": "events",
            "fsck": "fsck",
            "info": "info",
            "prune": "system_prune",
            "reset": "system_reset",
        },
    ),
    "volume": (
        "Manage volumes",
        {
            "create": "volume_create",
            "inspect": "volume_inspect",
            "ls": "volume_ls",
            "list": "volume_ls",
            "prune": "volume_prune",
            "rm": "volume_rm",
            "remove": "volume_rm",
        },
    ),
}


def find(words: list[str]) -> tuple[str, str | None, list[str]]:
    """(name shown, module, words left); module None where the words name no verb."""
    verb = COMMON.get(words[0]) or VERBS.get(words[0]) or HIDDEN.get(words[0])
    if verb is not None:
        return words[0], verb[0], words[1:]
    group = GROUPS.get(words[0])
    if group is not None:
        if len(words) > 1 and words[1] in group[1]:
            return f"{words[0]} {words[1]}", group[1][words[1]], words[2:]
        return words[0], None, words[1:]
    return "", None, words


def load(module: str) -> ModuleType:
    """A verb's module: `COMMAND` says what it accepts, `main` does it."""
    from kobako import groups

    name = "kobako.cli." + module
    groups.load(module)
    __import__(name)
    return sys.modules[name]
