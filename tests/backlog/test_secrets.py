"""Keys and tokens are found in text, what only looks like them is not, and none is ever shown whole."""

from __future__ import annotations

import pytest

from taskkeep.backlog import secrets
from taskkeep.backlog.task import shortened

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD" * 8
UPPER = "QWERTYUIOPASDFGHJKLZXCVBNM234567"
HEX = "0123456789abcdef" * 8

# Written in pieces, so that no scanner takes this file for a leak.
HITS = {
    "an AWS access key id": "AKIA" + UPPER[:16],
    "a GitHub token": "ghp" + "_" + LETTERS[:36],
    "a GitLab token": "glpat" + "-" + LETTERS[:20],
    "a Slack token": "xoxb" + "-123456789012-" + LETTERS[:24],
    "a Slack webhook": "https://hooks.slack" + ".com/services/T00AA11BB/B00AA11BB/" + LETTERS[:24],
    "a Google API key": "AIza" + LETTERS[:35],
    "a Stripe key": "sk_live" + "_" + LETTERS[:24],
    "an OpenAI key": "sk-proj-" + LETTERS[:20] + "T3Blbk" + "FJ" + LETTERS[:20],
    "an Anthropic key": "sk-ant-" + "api03-" + LETTERS[:90],
    "an npm token": "npm" + "_" + LETTERS[:36],
    "a PyPI token": "pypi-" + "AgE" + LETTERS[:70],
    "a Hugging Face token": "hf" + "_" + "abcdefghijKLMNOPQRSTuvwxyzABCDEFGH",
    "a SendGrid key": "SG" + "." + LETTERS[:22] + "." + LETTERS[:43],
    "a DigitalOcean token": "dop_v1" + "_" + HEX[:64],
    "an Azure storage key": "Account" + "Key=" + LETTERS[:86] + "==",
    "a private key": "-----BEGIN RSA PRIVATE" + " KEY-----\n" + LETTERS[:64] + "\n" + LETTERS[:64],
}
AROUND = ["{}", "use {} here", "token={},", "`{}`", "({})", '{{"key": "{}"}}', "the first line\n{}\nthe last"]


@pytest.mark.parametrize("kind", HITS)
@pytest.mark.parametrize("around", AROUND)
def test_each_kind_is_found_wherever_it_stands(kind: str, around: str) -> None:
    secret = HITS[kind]

    [found] = secrets.find(around.format(secret))

    assert found.kind == kind
    assert secret[8:] not in found.shown
    assert secret[8:] not in secrets.redacted(around.format(secret))
    assert secret[8:60] not in shortened(around.format(secret))


@pytest.mark.parametrize("rest", ["1234567890ABCDEF", "IOSFODNN7EXAMPLE"])
def test_any_digit_may_stand_in_an_access_key(rest: str) -> None:
    """The key of Amazon's own documentation too: with it people try whether secrets are found at all."""
    [found] = secrets.find("AKIA" + rest)
    assert found.kind == "an AWS access key id"


def test_the_first_line_of_a_private_key_is_enough() -> None:
    [found] = secrets.find("-----BEGIN RSA PRIVATE" + " KEY-----\nMIIEpAIBAAKCAQEA")
    assert found.kind == "a private key"


def test_there_is_an_example_of_every_kind() -> None:
    assert HITS.keys() == secrets.PATTERNS.keys()


@pytest.mark.parametrize(
    "text",
    [
        "rotate the GitHub token (ghp_…) and the AKIA key",
        "ghp_tooshort",
        "see xoxb-tokens in the docs, and npm_config_registry",
        "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\n" + LETTERS[:64],
        "hf_transfer and hf_hub_download are functions",
        "3f786850e387550fdab836ed7e6dc881de23001b",  # a commit
        "550e8400-e29b-41d4-a716-446655440000",
        "AIzaFoo",
        "the sk_live_ prefix",
        LETTERS,
    ],
)
def test_what_only_looks_like_one_passes(text: str) -> None:
    assert secrets.find(text) == []
    assert secrets.redacted(text) == text


def test_a_secret_beside_what_is_no_text_is_found_all_the_same() -> None:
    """A hand edit can hold half a character, which no encoding has."""
    key = HITS["a private key"].replace("KEY-----\n", "KEY-----\nComment: \ud800\n")

    [found] = secrets.find(key)

    assert found.kind == "a private key"


def test_a_change_answers_only_for_what_it_brings() -> None:
    """What a task held before stays allowed to be there, in whatever field."""
    token = HITS["a GitHub token"]
    before = {"id": "T0001", "description": token}

    assert secrets.new_in(before, {**before, "title": "other", "notes": [{"text": token}]}) == []
    assert [field for field, _ in secrets.new_in(None, before)] == ["description"]
    assert [field for field, _ in secrets.new_in(before, {**before, "metadata": {"k": [HITS["an npm token"]]}})] == [
        "metadata"
    ]


def test_what_an_exception_is_named_by_is_the_same_wherever_the_secret_stands() -> None:
    """Each once, in order; it does not tell the secret."""
    one, other = HITS["a GitHub token"], HITS["an npm token"]
    found = secrets.in_task({"title": one, "notes": [{"text": f"{other} {one}"}], "metadata": {other: 5}})

    names = secrets.fingerprints(found)

    assert names == sorted({hit.fingerprint for text in (one, other) for hit in secrets.find(text)})
    assert {len(name) for name in names} == {16}
    assert secrets.in_task({"title": "nothing", "metadata": {"k": [1, None]}}) == []


def test_an_exception_needs_a_reason() -> None:
    """It is for one task, and a list of names; what else stands there says nothing."""

    def event(why: str | None, allowed: object) -> dict[str, object]:
        return {"uid": "u", "why": why, "details": {"allowed_secrets": allowed}}

    events = [
        event("a test key", ["a", 5]),
        event(" ", ["b"]),
        event(None, ["c"]),
        event("so", "d"),
        {"uid": "u", "why": "x", "details": {}},
    ]

    assert secrets.allowed_in(events) == {("u", "a")}
