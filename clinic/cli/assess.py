"""`clinic assess`: verdicts on intake records, without a database."""

import sys
from typing import Any

import click

from clinic.cli import jsonio


@click.command(short_help="Assess intake records: TRD, pathways, what is missing.")
@click.argument("file", required=False)
@click.option("--jsonl", is_flag=True, help="One record a line in, one result a line out.")
@click.option("--policy", "policies", metavar="ID", multiple=True, help="Also check this payer policy; repeatable.")
@click.option("--ruleset", metavar="ID", default="default", show_default=True, help="The way of counting trials.")
def assess(file: str | None, jsonl: bool, policies: tuple[str, ...], ruleset: str) -> None:
    """Read an intake record from FILE, or standard input for - or none, and print the assessment as JSON.

    Exit code 0: answered; 2: refused, each problem on its own line of standard error.
    """
    from pydantic import ValidationError

    from clinic.cli.refusals import refusal
    from clinic.eligibility import engine
    from clinic.eligibility.engine import knowledge

    problems = []
    if ruleset not in knowledge.ruleset_ids():
        known = ", ".join(knowledge.ruleset_ids())
        problems.append(jsonio.Problem("--ruleset", f"no rule set {ruleset!r}; there are {known}"))
    unknown = [each for each in policies if each not in knowledge.policy_ids()]
    problems += [jsonio.Problem("--policy", f"no policy {each!r} is held") for each in unknown]
    if problems:
        jsonio.complain(problems)
        sys.exit(jsonio.REFUSED)

    def handle(document: Any) -> Any:
        try:
            record = engine.IntakeRecord.model_validate(document)
        except ValidationError as error:
            raise refusal(error) from None
        return jsonio.Encoded(engine.assess(record, ruleset=ruleset, policies=policies).to_text())

    sys.exit(jsonio.answer(file, handle, jsonl=jsonl))
