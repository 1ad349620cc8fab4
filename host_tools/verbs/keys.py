"""`reverbere keys`: a site's authority and secrets, the broker's certificate, the access points' passwords."""

from pathlib import Path
from typing import Annotated

import typer
from cryptography.x509.oid import NameOID

from host_tools.certificates import CertificateError, write_private
from host_tools.mosquitto_config import acl
from host_tools.mosquitto_config import config as mosquitto_config
from host_tools.plan.problems import Problem
from host_tools.site_keys import KeysError, SiteKeys, refuse_git

from .node import say
from .plan import fail

app = typer.Typer(no_args_is_help=True, help="Make and keep a site's keys. No secret is ever printed.")

FolderArgument = Annotated[Path, typer.Argument(help="The folder of the keys, outside of any git repository.")]


@app.callback()
def _group() -> None:
    """Make and keep a site's keys. No secret is ever printed."""


@app.command()
def new(
    folder: FolderArgument,
    site: Annotated[str, typer.Option(help="The site's name, as in its file.")],
    operator: Annotated[str, typer.Option(help="The name of this workplace on its certificate.")] = "office",
) -> None:
    """Make the authority and the keys of a new site in a new or empty folder. Exits 2 where that cannot be."""
    try:
        SiteKeys.create(folder, site).operator(operator)
    except (KeysError, CertificateError) as error:
        fail(folder, [Problem("", str(error))])
    say(f"Made the keys of {site} in {folder}. They are the site: keep two copies, off the broker and out of git")


@app.command()
def broker(
    folder: FolderArgument,
    names: Annotated[list[str], typer.Argument(help="Host names and addresses by which nodes call the broker.")],
    out: Annotated[Path, typer.Option(help="Folder for what the broker needs; it may exist.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port it listens on.")] = 8883,
    psk_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="A port for nodes that use keys instead (mqtt.psk_port).")
    ] = None,
) -> None:
    """Certify the broker, and write what a mosquitto needs: certificates, rules, configuration.

    With --psk-port the keys of all nodes that have a bundle are in it: write it anew after new bundles.

    Exits 2 where that cannot be.
    """
    try:
        keys = SiteKeys(folder)
        keys.certify_broker(names)
        refuse_git(out)
        out.mkdir(parents=True, exist_ok=True)
        for name in ("ca.crt", "broker.crt"):
            (out / name).write_bytes((folder / name).read_bytes())
        write_private(out / "broker.key", (folder / "broker.key").read_bytes())
        common_name = keys.operator("office").certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        (out / "acl").write_text(acl(keys.site, [str(common_name)]), encoding="utf-8")
        if psk_port is not None:
            lines = [f"{node}:{keys.psk(node).hex()}\n" for node in keys.nodes()]
            write_private(out / "psk", "".join(lines).encode())
        text = mosquitto_config(out.resolve(), port, psk_port=psk_port)
        (out / "mosquitto.conf").write_text(text, encoding="utf-8")
    except (KeysError, CertificateError) as error:
        fail(folder, [Problem("", str(error))])
    except OSError as error:
        fail(out, [Problem("", f"cannot be written: {error.strerror}: choose another --out")])
    say(
        f"Wrote to {out}: ca.crt, broker.crt, broker.key, acl, mosquitto.conf. Start: mosquitto -c {out}/mosquitto.conf"
    )


@app.command()
def wifi(
    folder: FolderArgument,
    ssid: Annotated[str, typer.Argument(help="The access points' name, as in the hardware file.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Asked for; not on the command line.")],
) -> None:
    """Keep the password of the access points; it goes into each node's bundle. Exits 2 where that cannot be."""
    try:
        SiteKeys(folder).set_wifi_password(ssid, password)
    except KeysError as error:
        fail(folder, [Problem("", str(error))])
    say(f"Kept the password of {ssid}")
