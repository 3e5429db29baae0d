"""``cxrbench profiles``: the profiles that ship, and what each can show."""

from __future__ import annotations

import json

import click

from cxrbench.commands._errors import user_errors


@click.command("profiles")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@user_errors
def command(as_json: bool) -> None:
    """List the profiles that ship, and what each can show."""
    from cxrbench.study.profile import load_profile, profile_names

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
