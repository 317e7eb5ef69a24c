"""A tool's defaults on the command line are those of its call from Python."""

from dataclasses import fields
from inspect import signature
from typing import Any

import pytest

from pxtools.commands.report import px_report
from pxtools.commands.sequence import px_sequence
from pxtools.report.gathering import ReportRequest
from pxtools.sequences.options import Options
from pxtools.sequences.runs import SequenceRequest


@pytest.mark.parametrize(
    ("command", "request_type", "shared"),
    [
        (px_sequence, SequenceRequest, {"num_seqs", "weights"}),
        (px_sequence, Options, {"temperature", "seed", "omit"}),
        (px_report, ReportRequest, {"in_3d"}),
    ],
)
def test_defaults_are_the_same(command: Any, request_type: Any, shared: set[str]) -> None:
    typed = {name: p.default for name, p in signature(command).parameters.items()}
    called = {field.name: field.default for field in fields(request_type)}
    assert {name: typed[name] for name in shared} == {name: called[name] for name in shared}
