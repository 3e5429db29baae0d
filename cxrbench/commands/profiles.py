"""``cxrbench profiles``: the profiles that ship, what each can show, and the text of one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cxrbench.commands._errors import UserError, user_errors
from cxrbench.commands._paths import PLACE


@click.command("profiles")
@click.argument("name", required=False)
@click.option(
    "--out", type=PLACE, help="Write the profile NAME to this file, to be changed; end it in .toml."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@user_errors
def command(name: str | None, out: Path | None, as_json: bool) -> None:
    """List the profiles that ship, and what each can show; with a NAME, print the text of that one."""
    from cxrbench.files import write_text_atomic
    from cxrbench.study.profile import load_profile, profile_names, profile_text

    if name is not None:
        text = profile_text(name)
        if out is None:
            click.echo(json.dumps({"name": name, "text": text}) if as_json else text, nl=as_json)
        elif out.exists():
            raise UserError(f"{out} is there already; name a new file")
        else:
            write_text_atomic(out, text)
        return
    if out is not None:
        raise UserError("--out: name the profile that is to be written")
    profiles = {name: load_profile(name) for name in profile_names()}
    if as_json:
        listed = {
            name: {
                "title": profile.title,
                "shows": profile.shows,
                "synthetic": profile.synthetic,
                "image_size": profile.image_size,
                "schemes": list(profile.schemes),
                "targets": sorted(profile.targets),
            }
            for name, profile in profiles.items()
        }
        click.echo(json.dumps(listed, indent=2))
        return
    width = max(map(len, profiles))
    click.echo("\n".join(f"{name:<{width}}  {profile.shows}" for name, profile in profiles.items()))
