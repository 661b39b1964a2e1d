"""Runs the suites with Great Expectations, and writes its Data Docs as static HTML.

Nothing is sent anywhere, and nothing is fetched: what the pages take from other servers (scripts, styles, the
logo) is cut out, and they have style.css of the report instead. They are also made free of what would differ
between equal runs: no time, no random identifier.
"""

from __future__ import annotations

import datetime
import itertools
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from digits.validate.rules import Outcome, Rule

EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)  # stands for "no time recorded"
RANDOM_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
FETCHED = re.compile(r"<script.*?</script>|<style.*?</style>|<link[^>]*>", re.DOTALL)
LOGO = re.compile(r"<img[^>]*logo-long[^>]*>", re.DOTALL)  # the link that leads back
CLOCK = re.compile(r"\b20\d{6}T\d{6}\.\d{6}Z\b(?!/)")  # but not where it names a folder
SHOWN_EPOCH = re.compile(r"2000-01-01(?: |T)00:00:00(?: UTC|Z|\+00:00)?")


def run_suites(
    frames: Mapping[str, pd.DataFrame], suites: Mapping[str, list[Rule]], site: Path
) -> list[Outcome]:
    """Hold each frame to the suite of its name; write the Data Docs into the new folder `site`."""
    context = _context(site)
    source = context.data_sources.add_pandas("digits")
    run = RunIdentifier(run_name="validate", run_time=EPOCH)
    outcomes: list[Outcome] = []
    for name, rules in suites.items():
        if not rules:
            continue
        expectations = [_noted(rule) for rule in rules]
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("rows")
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
        answer = definition.run(batch_parameters={"dataframe": frames[name]}, run_id=run)
        by_rule = {each.expectation_config.meta["rule"]: each for each in answer.results}
        outcomes += [_outcome(rule, by_rule[rule.name]) for rule in rules]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the page templates, none of ours
        context.build_data_docs()
    _tidy(site)
    return outcomes


def _context(site: Path) -> Any:
    pages = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(site.absolute()),
        },
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={"site": pages},
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _noted(rule: Rule) -> Any:
    rule.expectation.meta = {"rule": rule.name}
    rule.expectation.notes = rule.name
    return rule.expectation


def _outcome(rule: Rule, answer: Any) -> Outcome:
    result, raised = answer.result, answer.exception_info
    if not result:
        return Outcome(rule.name, rule.expected, f"could not be checked: {raised}", False)
    if "unexpected_count" in result:
        wrong, examples = result["unexpected_count"], result.get("partial_unexpected_list") or []
        observed: Any = f"{wrong} of {result['element_count']} rows outside"
        if wrong:
            observed += f", e.g. {_plain(examples[0])}"
    else:
        observed = _plain(result["observed_value"])
    return Outcome(rule.name, rule.expected, observed, bool(answer.success))


def _plain(value: Any) -> Any:
    """Built-in numbers, rounded for a reader; of quantiles the values alone."""
    if isinstance(value, dict):
        return [_plain(each) for each in value["values"]]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    return round(value, 4) if isinstance(value, float) else value


def _tidy(site: Path) -> None:
    shutil.rmtree(site / "static")
    (site / "index.html").unlink()  # a table that scripts fill; the report has a page of its own
    for page in sorted(site.rglob("*.html")):
        root = "../" * (len(page.relative_to(site).parts) - 1)
        counter = itertools.count(1)
        known: dict[str, str] = {}

        def number(match: re.Match[str], known: dict[str, str] = known, counter: Any = counter) -> str:
            return known.setdefault(match[0], f"id-{next(counter)}")

        text = page.read_text(encoding="utf-8")
        text = FETCHED.sub("", LOGO.sub("All results", text)).replace(
            "</head>", f'<link rel="stylesheet" href="{root}style.css"></head>', 1
        )
        text = RANDOM_ID.sub(number, text)
        text = CLOCK.sub("not recorded", text)
        text = SHOWN_EPOCH.sub("not recorded", text)
        page.write_text(text, encoding="utf-8")
