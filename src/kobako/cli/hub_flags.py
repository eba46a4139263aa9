"""What the verbs of `kobako hub` share: where the hub's data is."""

from __future__ import annotations

import os

from kobako.cli.flags import TEXT, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

DATA = Flag("data", "", TEXT, "Directory of the registry's data (default: DATA_ROOT/hub)", "dir")


def data_dir(context: Context, values: Values) -> str:
    """The directory given with --data, else one inside the data root."""
    return os.path.abspath(values.text("data") or os.path.join(context.data_root(), "hub"))
