# ruff: noqa: E501  # a table is as wide as it is
"""The commands people learn docker with, in their order, on a Debian `python` pulled from a hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import Terminal, check_columns, steps

PREPARATION = """
```console
$ echo correct-horse | kobako hub user add --admin --password-stdin librarian
librarian
$ echo battery-staple | kobako hub user add --password-stdin account
account
$ kobako hub serve --listen 127.0.0.1:5000 2> hub.log &
$ cat > config.toml << END
> [registries."docker.io"]
> mirrors = ["http://127.0.0.1:5000"]
> push = true
> END
$ kobako import --change 'CMD ["python3"]' $DEBIAN python
sha256:7836945d4cbd5709fa9df155f80dc46e6a0ec211835fabd4b1a58dfb444527dd
$ echo correct-horse | kobako login --username librarian --password-stdin
...
Login Succeeded
$ kobako push python
...
latest: digest: sha256:b5c3a5538fd48a86c44a348ef4ede61b69e02107a3af26002485b1f8cc783914 size: 406
$ kobako logout
...
$ kobako rmi python
Untagged: python:latest
Deleted: sha256:91a0cf9aa9857bebcd7ebec3418970f97f043e31987fd4a257c8ac8c8418dc38
```
"""
BY_HAND = """
```console
$ kobako run --name python-demo -ti python bash
Unable to find image 'python:latest' locally
latest: Pulling from library/python
...
Status: Downloaded newer image for python:latest
root@d8ccada9c61e:/# echo 'print("Hello World!")' > hello.py
root@d8ccada9c61e:/# python hello.py
Hello World!
root@d8ccada9c61e:/# exit
$ kobako ps
CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES
$ kobako ps -a
CONTAINER ID   IMAGE     COMMAND   CREATED          STATUS                      PORTS     NAMES
cf6ac8e06fd9   python    "bash"    27 seconds ago   Exited (0) 12 seconds ago             python-demo
$ kobako commit python-demo python-custom
sha256:91a0cf9aa9857bebcd7ebec3418970f97f043e31987fd4a257c8ac8c8418dc38
$ kobako images
REPOSITORY      TAG       IMAGE ID       CREATED         SIZE
python-custom   latest    91a0cf9aa985   6 seconds ago   922MB
python          latest    638817465c7d   24 hours ago    922MB
$ kobako run python-custom python hello.py
Hello World!
$ kobako capture python-demo python-captured
sha256:91a0cf9aa9857bebcd7ebec3418970f97f043e31987fd4a257c8ac8c8418dc38
```
"""
BY_DOCKERFILE = """
```console
$ mkdir project && cd project
$ cat > Dockerfile << 'END'
> FROM python
>
> WORKDIR ./app
>
> RUN echo 'print("Hello World!")' > hello.py
>
> CMD python hello.py
> END
$ kobako build -t python-dockerfile .
Sending build context to kobako  3.072kB
Step 1/4 : FROM python
 ---> 638817465c7d
Step 2/4 : WORKDIR ./app
 ---> Running in 990d17e86466
Removing intermediate container 990d17e86466
 ---> 59a074a092cc
Step 3/4 : RUN echo 'print("Hello World!")' > hello.py
 ---> Running in aed707c53bc5
Removing intermediate container aed707c53bc5
 ---> d7f55a9d0e85
Step 4/4 : CMD python hello.py
 ---> Running in e87ec55a8d36
Removing intermediate container e87ec55a8d36
 ---> 98c39b91770f
Successfully built 98c39b91770f
Successfully tagged python-dockerfile:latest
$ kobako images python-dockerfile
REPOSITORY          TAG       IMAGE ID       CREATED              SIZE
python-dockerfile   latest    98c39b91770f   About a minute ago   922MB
$ kobako run python-dockerfile
Hello World!
```
"""
PUBLISHED = """
<!-- test: "Password: " is answered with battery-staple -->
```console
$ kobako tag python-dockerfile account/python-dockerfile
$ kobako login
Username: account
Password:
...
Login Succeeded
$ kobako push account/python-dockerfile > pushed && grep -v -e Preparing -e Waiting pushed
Using default tag: latest
The push refers to repository [docker.io/account/python-dockerfile]
...
ffab8273c674: Mounted from library/python
...
latest: digest: sha256:cf571588e3aa3231789ec7055eb9072dfa036225392ee0e8336b3e80b658cfa2 size: 714
$ grep -c ': Pushed$' pushed
2
$ kobako push account/python-dockerfile
Using default tag: latest
The push refers to repository [docker.io/account/python-dockerfile]
...
f39073ca4d5a: Layer already exists
...
latest: digest: sha256:cf571588e3aa3231789ec7055eb9072dfa036225392ee0e8336b3e80b658cfa2 size: 714
$ kobako --root $ELSEWHERE run account/python-dockerfile
Unable to find image 'account/python-dockerfile:latest' locally
latest: Pulling from account/python-dockerfile
...
Status: Downloaded newer image for account/python-dockerfile:latest
Hello World!
$ cd ..
$ kill %1
$ kobako --root $ELSEWHERE system reset --force
$ kobako system reset --force
```
"""


@pytest.mark.timeout(600)
def test_the_lesson_as_typed(tmp_path: Path, debian_tar: Path) -> None:
    with Terminal(
        tmp_path,
        DEBIAN=str(debian_tar),
        ELSEWHERE=str(tmp_path / "elsewhere"),
        KOBAKO_CONFIG=str(tmp_path / "config.toml"),
    ) as terminal:
        terminal.play(steps(PREPARATION + BY_HAND + BY_DOCKERFILE + PUBLISHED))
    assert not {entry.name for entry in tmp_path.iterdir()} & {"root", "elsewhere"}


def test_a_column_out_of_place_is_noticed() -> None:
    heads = "REPOSITORY   TAG       IMAGE ID"
    check_columns(
        [heads, "python       latest    98c39b91770f", "python                 98c39b91770f"]
    )
    for row in ("python        latest    98c39b91770f", "python-custom   latest   98c39b91770f"):
        with pytest.raises(AssertionError, match="column"):
            check_columns([heads, row])
