"""pull, push, login and logout: the store and a registry, introduced to each other."""

from __future__ import annotations

import os

from kobako.errors import Invalid, NotFound
from kobako.events import Status
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.engine.images import LocalImage
    from kobako.events import OnEvent
    from kobako.image.mutate import Image
    from kobako.oci import Descriptor, Digest, Reference
    from kobako.remote.client import Client
    from kobako.remote.credentials import CredentialFile, Credentials
    from kobako.remote.pull import Pulled


class PushName(Record):
    """One name to push; `told_default` when the tag was not given."""

    reference: Reference
    told_default: bool

    @property
    def repository(self) -> str:
        return self.reference.name

    @property
    def tag(self) -> str:
        return self.reference.tag or str(self.reference.digest)


class LoginResult(Record):
    """`unencrypted_path` is the file that now holds the password readably, or ""."""

    unencrypted_path: str


def pull(engine: Engine, name: str, platform: str, on_event: OnEvent) -> str:
    """Bring an image into the store, unpacked; its full name."""
    from kobako.oci import Reference

    reference = Reference.parse(name)
    if reference.tag is None and reference.digest is None:
        on_event(Status("Using default tag: latest"))
    reference = reference.with_default_tag()
    newer = _pull(engine, reference, platform, on_event)
    _say_status(on_event, reference.familiar(), newer)
    return str(reference)


def pull_all(engine: Engine, name: str, platform: str, on_event: OnEvent) -> str:
    """Bring every tag a registry has of a repository; the repository's full name."""
    from kobako.oci import Reference
    from kobako.remote.registry import tags

    reference = Reference.parse(name)
    if reference.tag or reference.digest:
        raise Invalid("tag can't be used with --all-tags/-a")
    found = tags(reference, client(engine))
    newer = [_pull(engine, reference.replace(tag=tag), platform, on_event) for tag in found]
    _say_status(on_event, reference.familiar_name, any(newer))
    return reference.name


def _say_status(on_event: OnEvent, shown: str, newer: bool) -> None:
    said = "Downloaded newer image" if newer else "Image is up to date"
    on_event(Status(f"Status: {said} for {shown}"))


def pull_for_run(engine: Engine, name: str, platform: str, on_event: OnEvent) -> LocalImage:
    """The pull `run` makes when the image is missing: docker's lines around it."""
    from kobako.engine import images
    from kobako.oci import Reference

    reference = Reference.parse(name).with_default_tag()
    on_event(Status(f"Unable to find image '{reference.familiar()}' locally"))
    newer = _pull(engine, reference, platform, on_event)
    _say_status(on_event, reference.familiar(), newer)
    return images.find(engine, str(reference))


def describe(engine: Engine, reference: Reference, platform: str) -> Pulled:
    """Bring manifest and config of an image here, without its layers: for `pull_described`. The
    caller's lease keeps them."""
    from kobako.oci import Platform
    from kobako.remote.pull import pull as fetch

    engine.try_enter()  # before threads exist
    wanted = Platform.parse(platform) if platform else Platform.host()
    known = engine.store.db.refs.get(str(reference))
    return fetch(engine.store, reference, wanted, client(engine), known=known, layers=False)


def pull_described(
    engine: Engine, reference: Reference, platform: str, target: Digest, on_event: OnEvent
) -> None:
    """Bring the image that `describe` found to be `target`, unpacked, and name it."""
    newer = _pull(engine, reference, platform, on_event, target)
    _say_status(on_event, reference.familiar(), newer)


def _pull(
    engine: Engine,
    reference: Reference,
    platform: str,
    on_event: OnEvent,
    described: Digest | None = None,
) -> bool:
    """Bring and name an image; whether the name means another one now, or the image is new."""
    from kobako.engine import image_naming, recording, unpack
    from kobako.image.mutate import Image
    from kobako.oci import Platform
    from kobako.remote.pull import pull as fetch
    from kobako.store.leases import lease

    engine.try_enter()  # before threads exist
    store = engine.store
    wanted = Platform.parse(platform) if platform else Platform.host()
    with lease(store, f"pull {reference}"):
        before = store.db.refs.get(str(reference))
        exactly = reference.replace(digest=described) if described else reference
        pulled = fetch(store, exactly, wanted, client(engine), on_event, known=before)
        image = Image.read(store.blobs, pulled.manifest.digest)
        unpack.unpack(engine, image.manifest, image.config, on_event)
        size = unpack.size(engine, image.manifest, image.config)
        known = store.db.images.of_manifest(image.manifest.digest) is not None
        target = pulled.target.digest  # an index stays what the name points to
        image_naming.record(engine, image.manifest, image.config, size, (reference,), target)
    recording.images(engine, ("pull", reference.familiar(), reference.familiar_name))
    on_event(Status(f"Digest: {pulled.target.digest}"))
    return before != pulled.target.digest or not known


def local_tags(engine: Engine, name: str, *, everything: bool = False) -> list[PushName]:
    """What `push NAME` means: that tag, `latest`, or with `everything` each tag there is here."""
    from kobako.oci import Reference

    reference = Reference.parse(name)
    if everything:
        if reference.tag or reference.digest:
            raise Invalid("tag can't be used with --all-tags/-a")
        names = [
            Reference.parse(ref.name)
            for ref in engine.store.db.refs.list()
            if ref.name.startswith(reference.name + ":")
        ]
        if not names:
            raise _not_here(engine, reference)
        return [PushName(n, False) for n in names]
    whole = reference.with_default_tag()
    return [PushName(whole, whole != reference)]


def _not_here(engine: Engine, reference: Reference) -> NotFound:
    """What docker says of a name that cannot be pushed because nothing bears it."""
    if any(ref.name.startswith(reference.name + ":") for ref in engine.store.db.refs.list()):
        return NotFound(f"tag does not exist: {reference.familiar()}")
    name = reference.familiar_name
    return NotFound(f"An image does not exist locally with the tag: {name}")


def push(engine: Engine, reference: Reference, on_event: OnEvent) -> Descriptor:
    """Upload an image under its name; what the registry now has under the tag.

    An index goes with all of its images if all of them are here, else only this machine's does.
    """
    from kobako.engine import images, recording
    from kobako.remote.push import push as send
    from kobako.store.leases import lease

    store = engine.store
    with lease(store, f"push {reference}") as held:
        try:
            image = images.find(engine, str(reference))
        except NotFound:
            raise _not_here(engine, reference) from None
        held.keep(image.target)
        target = _compressed(engine, image, on_event)
        sent = send(store, target, reference, client(engine), on_event)
    recording.images(engine, ("push", reference.familiar(), reference.familiar_name))
    return sent


def send(
    engine: Engine,
    target: Digest,
    reference: Reference,
    on_event: OnEvent,
    *,
    insecure: bool = False,
    by_digest: bool = False,
) -> Descriptor:
    """Upload a manifest or index of the store and all it refers to, under a name or, `by_digest`,
    without a tag; what the registry has now. `insecure` as in config.toml."""
    from kobako.remote.push import push as send_all
    from kobako.store.leases import lease

    speaking = client(engine, insecure=reference.domain if insecure else "")
    with lease(engine.store, f"push {reference}") as held:
        held.keep(target)
        return send_all(engine.store, target, reference, speaking, on_event, by_digest=by_digest)


def _trusting(client: Client, domain: str) -> Client:
    """The same view, but of this registry any certificate, or none, will do."""
    from kobako.remote.endpoint import HostConfig

    known = client.registries.hosts
    own = next((h for h in known if h.domain == domain), HostConfig(domain))
    others = tuple(h for h in known if h.domain != domain)
    hosts = (*others, own.replace(insecure=True))
    return client.replace(registries=client.registries.replace(hosts=hosts))


def _compressed(engine: Engine, image: LocalImage, on_event: OnEvent) -> Digest:
    """What to push of an image: layers kept as plain tars (load, import) are compressed first.

    The image keeps its id; its manifest from now on is the one pushed.
    """
    from kobako.engine.image_platforms import portable
    from kobako.image.mutate import Image

    if image.target != image.row.manifest:
        target = portable(engine, image)
        if target != image.target:
            on_event(
                Status(
                    f"Not all images of the index {image.target.short} are here: only the one for "
                    f"{image.row.platform} is pushed"
                )
            )
        return target
    plain = Image.read(engine.store.blobs, image.target)
    sent = packed(engine, plain, on_event)
    if sent is plain:
        return image.target
    db = engine.store.db
    with db.transaction():
        db.images.add(image.row.replace(manifest=sent.manifest.digest))
        for ref in db.refs.of_image(image.id):
            if ref.digest == image.target:
                db.refs.set(ref.name, sent.manifest.digest, image.id)
    return sent.manifest.digest


def packed(engine: Engine, plain: Image, on_event: OnEvent) -> Image:
    """The image with its plain layers compressed, each once however often it is asked for."""
    from kobako.engine.store_cache import StoreCache
    from kobako.image.compress import compressed, is_compressed
    from kobako.oci import Descriptor, Digest

    if is_compressed(plain):
        return plain
    cache = StoreCache(engine)

    def known(diff_id: Digest) -> Descriptor | None:
        row = cache.get(f"compressed:{diff_id}")
        if row is None:
            return None
        return Descriptor(row["mediaType"], Digest(row["digest"]), row["size"])

    image = compressed(engine.store.blobs, plain, known=known, on_event=on_event)
    for diff_id, layer in image.layers:
        cache.put(f"compressed:{diff_id}", layer.to_json())
    return image


def client(engine: Engine, *, insecure: str = "") -> Client:
    """This user's view of the registries: config.toml, docker's credentials, proxies. `insecure`
    names a registry whose certificate does not matter."""
    from kobako.remote.client import Client
    from kobako.remote.endpoint import HostConfig, Mirror, RegistryConfig

    hosts = tuple(
        HostConfig(
            r.domain,
            tuple(Mirror(url, r.push_to_mirror and at == 0) for at, url in enumerate(r.mirrors)),
            insecure=r.insecure,
            ca_file=r.ca,
        )
        for r in engine.config.registries
    )
    directories = tuple(os.path.join(d, "certs.d") for d in _certificate_places(engine))
    registries = RegistryConfig(hosts, engine.settings.proxies, directories)
    found = Client(registries, credential_file(engine))
    return _trusting(found, insecure) if insecure else found


def _certificate_places(engine: Engine) -> tuple[str, ...]:
    """Where docker and podman look for `certs.d`, the user's own first."""
    own = os.path.join(engine.settings.home, ".config")
    names = ("docker", "containers")
    return tuple(os.path.join(base, name) for base in (own, "/etc") for name in names)


def credential_file(engine: Engine) -> CredentialFile:
    """docker's config.json."""
    from kobako.remote.credentials import CredentialFile

    path = os.path.join(engine.settings.docker_config, "config.json")
    return CredentialFile(path, engine.settings.path)


def login(engine: Engine, server: str, user: str, password: str) -> LoginResult:
    """Check credentials with a registry and keep them; `Unauthorized` when it refuses them."""
    from kobako.remote.login import login as check

    return LoginResult(check(server, user, password, client(engine)).unencrypted_path)


def logout(engine: Engine, server: str) -> bool:
    """Forget the credentials of a registry; whether there were any."""
    from kobako.remote.login import logout as forget

    return forget(server, client(engine))


def stored_login(engine: Engine, server: str) -> Credentials:
    """The user name and password kept for a registry, empty if there are none."""
    from kobako.remote.login import stored

    return stored(server, client(engine))
