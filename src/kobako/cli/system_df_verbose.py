"""kobako system df -v: what takes the space, one by one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.engine.engine import Engine


def show(context: Context) -> None:
    """docker's four tables."""
    engine = context.engine
    context.write("Images space usage:\n\n" + _images(engine))
    context.write("\nContainers space usage:\n\n" + _containers(context))
    context.write("\nLocal Volumes space usage:\n\n" + _volumes(engine))
    context.write(_cache(engine))


def _images(engine: Engine) -> str:
    import time

    from kobako.cli import table, units
    from kobako.engine import image_listing, usage

    shares = usage.image_shares(engine)
    used = [row.image_id for row in engine.store.db.containers.list()]
    titles = "REPOSITORY,TAG,IMAGE ID,CREATED,SIZE,SHARED SIZE,UNIQUE SIZE,CONTAINERS"
    rows = [titles.split(",")]
    for image in image_listing.listing(engine, "", {}):
        shared, own = shares.get(image.id, (0, 0))
        rows.append(
            [
                image.repository or "<none>",
                image.tag or "<none>",
                image.id.partition(":")[2][:12],
                units.ago(time.time() - image.created_ns / 1e9) if image.created_ns > 0 else "N/A",
                units.size(image.size, 3),
                units.size(shared),
                units.size(own),
                str(used.count(image.id)),
            ]
        )
    return table.render(rows)


def _containers(context: Context) -> str:
    from kobako.cli import ps, table
    from kobako.engine import containers

    titles = "CONTAINER ID,IMAGE,COMMAND,LOCAL VOLUMES,SIZE,CREATED,STATUS,NAMES"
    fields = "ID Image Command LocalVolumes Size RunningFor Status Names".split()
    rows = [titles.split(",")]
    for container in containers.select(context.engine, everything=True, filters={}):
        row = ps.row(context, container, whole=False, size=True)
        row["Size"] = row["Size"].partition(" ")[0]
        rows.append([row[field] for field in fields])
    return table.render(rows)


def _volumes(engine: Engine) -> str:
    from kobako.cli import table, units
    from kobako.engine import volume_store

    rows = [["VOLUME NAME", "LINKS", "SIZE"]]
    for volume in volume_store.select(engine, {}):
        size = units.size(volume_store.usage(engine, volume))
        rows.append([volume.name, str(len(volume.users)), size])
    return table.render(rows)


def _cache(engine: Engine) -> str:
    from kobako.cli import table, units
    from kobako.engine.build import cache_usage

    found = cache_usage.objects(engine)
    rows = [["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"]]
    for one in found:
        age = units.ago(cache_usage.age(one))
        made = units.ago(cache_usage.age(one.replace(used_ns=one.created_ns)))
        rows.append(
            [one.id[:12], one.kind, units.size(one.size), made, age, str(one.uses),
             str(one.shared).lower()]
        )  # fmt: skip
    total = units.size(sum(one.size for one in found if not one.shared))
    return f"\nBuild cache usage: {total}\n\n" + table.render(rows)
