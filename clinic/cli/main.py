"""The `clinic` command. Each command's module is imported only when it is called: assess, score and plan stay fast."""

import importlib
import sys

import click

COMMANDS = {
    "assess": "clinic.cli.assess:assess",
    "score": "clinic.cli.score:score",
    "plan": "clinic.cli.plan:plan",
    "run": "clinic.cli.run:run",
    "doctor": "clinic.cli.doctor:doctor",
    "settings": "clinic.cli.settings:settings",
    "demo": "clinic.cli.demo:demo",
    "user": "clinic.cli.user:user",
    "token": "clinic.cli.token:token",
    "location": "clinic.cli.location:location",
    "mail": "clinic.cli.mail:mail",
    "db": "clinic.cli.database:database",
    "audit": "clinic.cli.audit:audit",
    "keys": "clinic.cli.keys:keys",
    "backup": "clinic.cli.backup:backup",
    "export": "clinic.cli.export:export",
    "restore": "clinic.cli.backup:restore",
}


class LazyGroup(click.Group):
    """A click group that knows its commands by name and loads them on demand."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        target = COMMANDS.get(name)
        if target is None:
            return None
        module, attribute = target.split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup)
def main() -> None:
    """Daybreak: intake, eligibility, whole-course scheduling, reminders."""


if __name__ == "__main__":
    sys.exit(main())
