"""``cxrbench schemes``: the registered schemes, and the plan that they share."""

from __future__ import annotations

import json

import click

from cxrbench.commands._errors import user_errors


@click.command("schemes")
@click.option("--schemes", "scheme_set", help="This shipped set, six (the default) or paths.")
@click.option("--profile", "profile_name", help="Take the schemes of this profile (name or .toml file).")
@click.option(
    "--add", "added", multiple=True, metavar="NAME=NOTATION", help="A further scheme, to try one out."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@user_errors
def command(scheme_set: str | None, profile_name: str | None, added: tuple[str, ...], as_json: bool) -> None:
    """List the training schemes and the distinct stage runs that they need."""
    from tabulate import tabulate

    from cxrbench import schemes as shipped
    from cxrbench.errors import SchemeError

    registry = shipped.scheme_set(scheme_set or "six")
    if profile_name is not None:
        from cxrbench.study.profile import load_profile

        profile = load_profile(profile_name)
        registry = (profile.with_schemes(scheme_set) if scheme_set else profile).schemes
    for text in added:
        if "=" not in text:
            raise SchemeError(f"--add {text!r}: write NAME=NOTATION, such as 'mine=init > findings > covid'")
        registry, _ = registry.define(text)
    plan = shipped.make_plan(registry.values())
    named = sum(len(scheme.stages) for scheme in registry.values())
    if as_json:
        schemes = {name: scheme.notation for name, scheme in registry.items()}
        click.echo(json.dumps({"schemes": schemes, "plan": [str(run) for run in plan.runs]}, indent=2))
        return
    click.echo(tabulate([(s.name, s.notation) for s in registry.values()], headers=("scheme", "notation")))
    click.echo(f"\n{named} stage runs are named; shared beginnings leave {len(plan.runs)} to train:")
    for run in plan.runs:
        click.echo(f"  {run}")
