"""The cue tables: every word, weight and number behind the characteristics, as data.

They are a cold-start prior, chosen by hand; history decides. docs/classify.md shows these
tables and a test holds it equal to them. How texts are read is in ``scan``, how the numbers
are put together in ``characteristics``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, eq=False)
class Cue:
    """Phrases that point to ``key`` of a table with ``weight``; evidence shows ``name``."""

    key: str
    name: str
    weight: float
    phrases: tuple[str, ...]


_Rows = Mapping[str, Iterable[tuple[str, float, str]]]


def _table(rows: _Rows) -> tuple[Cue, ...]:
    return tuple(
        Cue(key, name, weight, tuple(phrase.strip() for phrase in phrases.split(",")))
        for key, cues in rows.items()
        for name, weight, phrases in cues
    )


TASK_TYPES: Final = (
    "bug-fix", "testing", "refactoring", "review", "documentation", "code-generation",
    "analysis", "question", "conversation",
)  # fmt: skip
"""All task types of ours, specific ones first: the earlier one wins a tie."""

TYPE_THRESHOLD: Final = 2.0
LEAD_WORDS: Final = 12
LEAD_WEIGHT: Final = 2.0
"""A cue of at least LEAD_WEIGHT among the first LEAD_WORDS words of its text counts double."""

TASK_TYPE: Final = _table({
    "bug-fix": (
        ("fix", 3, "fix, fixes, fixed, fixing, repair, hotfix, bugfix"),
        ("bug", 3, "bug, bugs, buggy, defect, defects"),
        ("debug", 3, "debug, debugging, troubleshoot, troubleshooting"),
        ("crash", 2, "crash, crashes, crashed, crashing, segfault, hangs, deadlock"),
        ("traceback", 2, "traceback, stacktrace, stack trace"),
        ("regression", 2, "regression, regressions"),
        ("behavior", 2, ("current behavior, actual behavior, expected behavior, "
                         "current behaviour, actual behaviour, expected behaviour, "
                         "steps to reproduce, actual results, expected results")),
        ("failure", 1.5, ("fail, fails, failing, failed, failure, broken, does not work, "
                          "doesn t work, not working, doesn t seem to work")),
        ("error", 1.5, ("error, errors, exception, exceptions, typeerror, valueerror, "
                        "keyerror, attributeerror, indexerror, importerror, nullpointerexception")),
        ("wrong", 1, ("wrong, wrongly, incorrect, incorrectly, unexpected, unexpectedly, "
                      "instead of, silently")),
        ("shortfall", 1, ("should not, should return, should be, cannot, can t, unable to, "
                          "doesn t, does not, no longer, not supported")),
    ),
    "testing": (
        ("write tests", 4, ("write tests, write test, write unit tests, add tests, add a test, "
                            "add unit tests, test cases, test plan, test coverage")),
        ("unit test", 2, ("unit test, unit tests, integration test, integration tests, "
                          "regression test, regression tests, end to end test, test suite")),
        ("test tool", 1.5, "pytest, unittest, jest, junit, mocha, cypress, selenium, playwright"),
        ("test", 1, "test, tests, testing, coverage, mock, mocks, fixture, fixtures"),
    ),
    "refactoring": (
        ("refactor", 4, "refactor, refactors, refactored, refactoring"),
        ("restructure", 2, ("restructure, restructuring, reorganize, reorganise, clean up, "
                            "cleanup, tidy, deduplicate, decouple, modernize, modernise")),
        ("rename", 2, "rename, renaming, extract method, extract function, inline function"),
        ("port", 2, "migrate, port to, rewrite, convert this code, translate this code"),
        ("debt", 1.5, ("technical debt, tech debt, code smell, code smells, readability, "
                       "maintainability, duplication, spaghetti")),
        ("simplify", 1, "simplify, simplifying"),
    ),
    "review": (
        ("code review", 4, ("code review, code reviewer, review this code, review my code, "
                            "review the code, review this pull request")),
        ("review", 3, "review, reviewing, reviewer, critique, proofread, audit"),
        ("pull request", 2, "pull request, merge request, this diff, this patch"),
        ("feedback", 1.5, "feedback, suggestions for improvement, look over, code quality"),
    ),
    "documentation": (
        ("document", 3, ("document this, document the, write documentation, write docs, "
                         "write a readme, write docstrings, add docstrings, release notes")),
        ("documents", 1.5, "documentation, docs, docstring, docstrings, readme, documenting"),
        ("guide", 2, "tutorial, user guide, user manual, how to guide, changelog, wiki"),
        ("prose", 2, ("essay, article, blog, blog post, email, e mail, cover letter, "
                      "write a letter, speech, newsletter, press release, whitepaper, "
                      "presentation, powerpoint, paragraph, paragraphs, resume, caption, "
                      "marketing copy")),
        ("comment", 1, "comment, comments, describe, description, outline, draft"),
    ),
    "code-generation": (
        ("implement", 3, "implement, implementing, implementation, implements"),
        ("write code", 3, ("write a function, write a script, write a program, write a class, "
                           "write code, write the code, write a python, write python")),
        ("code", 1.5, ("code, function, functions, method, class, script, scripts, shellscript, "
                       "program, module, component, endpoint, app, application, website, api, "
                       "cli, library, "
                       "query, regex, algorithm, webpage, plugin, bot, parser, feature, features, "
                       "dockerfile, macro, spreadsheet, formula")),
        ("make", 1, ("write, create, build, generate, develop, make, add, design, "
                     "give me, show me, i want, i need, i would like, construct, "
                     "support for")),
        ("language", 1, ("python, javascript, typescript, java, rust, golang, cpp, csharp, "
                         "php, ruby, swift, kotlin, scala, html, css, sql, bash, powershell, "
                         "react, vba, matlab, arduino, latex")),
    ),
    "analysis": (
        ("analyze", 3, "analyze, analyse, analyzing, analysing, analysis, root cause"),
        ("compare", 2, ("compare, comparing, comparison, contrast, pros and cons, trade offs, "
                        "tradeoffs, advantages and disadvantages")),
        ("solve", 2, ("solve, prove, calculate, compute, derive, determine, evaluate, find the, "
                      "find all, find a, what is the value, figure out")),
        ("assess", 2, ("assess, assessment, investigate, investigation, estimate, interpret, "
                       "summarize, summarise, summary, classify, categorize, extract, diagnose")),
        ("data", 1, "data, dataset, statistics, metrics, benchmark, profile, trend, trends"),
    ),
    "question": (
        ("ask", 2, ("what is, what are, what does, what s, how many, how much, how do, how to, "
                   "how does, how can, why is, why does, why do, who is, when did, where is, "
                   "which of, is there, are there, difference between")),
        ("explain", 2, "explain, explaining, explanation, define, meaning of, tell me"),
        ("question", 1.5, "question, questions"),
        ("answer", 1, "answer, answering, answers"),
    ),
    "conversation": (
        ("greeting", 1.5, "hello, hi, hey, thanks, thank you, good morning, good evening, bye"),
        ("role", 2, ("roleplay, role play, act as, pretend, let s chat, you are my, "
                     "play the role")),
        ("talk", 1, "chat, talk, feel, feeling, advice, recommend, opinion, suggest"),
    ),
})  # fmt: skip

INTERROGATIVES: Final = frozenset({
    "what", "how", "why", "who", "whom", "whose", "when", "where", "which", "is", "are", "does",
    "did", "was", "were",
})  # fmt: skip
INTERROGATIVE_WEIGHT: Final = 1.5
QUESTION_MARK_WEIGHT: Final = 1.0
"""For ``question``: the text's first word is one of INTERROGATIVES; its last sign is a "?"."""

DOMAINS: Final = (
    "backend", "frontend", "database", "auth", "testing", "devops", "architecture",
)  # fmt: skip
DOMAIN_THRESHOLD: Final = 1.0

DOMAIN: Final = _table({
    "backend": (
        ("backend", 1, "backend, back end, server side"),
        ("api", 1, "api, apis, endpoint, endpoints, rest api, graphql, grpc, webhook, webhooks"),
        ("backend framework", 1, ("django, flask, fastapi, rails, laravel, spring boot, nodejs, "
                                  "node js, asp net, sqlalchemy")),
        ("service", 0.5, ("service, services, microservice, microservices, worker, workers, "
                          "queue, kafka, rabbitmq, celery, middleware, server, servers, daemon")),
    ),
    "frontend": (
        ("frontend", 1, "frontend, front end, ui, ux, user interface, client side"),
        ("frontend framework", 1, ("react, vue, angular, svelte, nextjs, next js, tailwind, "
                                   "jquery, bootstrap")),
        ("web", 1, "html, css, javascript, typescript, webpage, dom"),
        ("widget", 0.5, ("button, buttons, modal, layout, responsive, navbar, dropdown, "
                         "component, components, stylesheet, browser, page, pages")),
    ),
    "database": (
        ("database", 1, "database, databases, db, sql, nosql, data warehouse"),
        ("database engine", 1, ("postgres, postgresql, mysql, mariadb, sqlite, mongodb, redis, "
                                "dynamodb, cassandra, snowflake, bigquery")),
        ("query", 0.5, ("query, queries, queryset, index, indexes, transaction, transactions, "
                        "orm, migration, migrations, schema, foreign key, primary key")),
    ),
    "auth": (
        ("auth", 1, ("auth, authentication, authenticate, authorization, authorisation, oauth, "
                     "oauth2, oidc, sso, saml, jwt, login, logout, sign in, 2fa, mfa")),
        ("access", 0.5, ("permission, permissions, role, roles, rbac, password, passwords, "
                         "credential, credentials, access control, access token")),
    ),
    "testing": (
        ("test kind", 1, ("unit test, unit tests, integration test, integration tests, "
                          "test suite, test case, test cases, test coverage, tdd, qa")),
        ("test tool", 1, "pytest, unittest, jest, junit, mocha, cypress, selenium, playwright"),
        ("test", 0.5, "test, tests, testing"),
        ("test part", 0.5, "mock, mocks, fixture, fixtures, assertion, assertions, flaky"),
    ),
    "devops": (
        ("pipeline", 1, "ci cd, github actions, gitlab ci, jenkins, devops, ci pipeline"),
        ("container", 1, "docker, dockerfile, docker compose, kubernetes, k8s, helm"),
        ("cloud", 1, "aws, azure, gcp, terraform, ansible, ec2, cloudformation"),
        ("operations", 0.5, ("deploy, deploys, deployment, deployments, monitoring, "
                             "infrastructure, nginx, linux, rollback, pipeline, container, "
                             "containers, provisioning, observability")),
    ),
    "architecture": (
        ("architecture", 1, "architecture, architectures, architectural, architect"),
        ("system design", 1, ("system design, software design, design pattern, "
                              "design patterns, domain driven, event driven, event sourcing, "
                              "cqrs, hexagonal, microservices, monolith")),
        ("scale", 0.5, ("scalable, scalability, distributed, modular, decouple, decoupled, "
                        "loosely coupled, high availability, sharding, trade offs")),
    ),
})  # fmt: skip

COMPLEXITY_BASE: Final = MappingProxyType({
    "bug-fix": 30, "testing": 25, "refactoring": 35, "review": 25, "documentation": 20,
    "code-generation": 30, "analysis": 30, "question": 10, "conversation": 5,
})  # fmt: skip
COMPLEXITY_BASE_OTHER: Final = 20
LENGTH_UNIT: Final = 250
LENGTH_POINTS: Final = 6.0
LENGTH_LIMIT: Final = 30.0
"""Points for length: LENGTH_POINTS x log2(1 + characters / LENGTH_UNIT), at most LENGTH_LIMIT."""

STORY_SHARE: Final = 0.7
"""Given story points and a text: STORY_SHARE x the points' complexity + the rest x the text's."""

STRUCTURE: Final = MappingProxyType({
    "list items": (2, 10), "code blocks": (4, 8), "images": (5, 5), "tools": (1, 5),
    "subtasks": (4, 20),
})  # fmt: skip
"""Complexity points for each, and at most."""

COMPLEXITY_CUES: Final = (-20.0, 30.0)
"""The least and the most that complexity cues add up to."""

COMPLEXITY: Final = _table({
    "more": (
        ("system", 10, ("architecture, system design, from scratch, end to end, full stack, "
                        "complete application, entire codebase, whole codebase")),
        ("distributed", 10, ("distributed, microservices, cluster, sharding, replication, "
                             "consensus, event driven, multi region")),
        ("concurrency", 8, ("concurrent, concurrency, parallel, multithreaded, multithreading, "
                            "race condition, race conditions, deadlock, thread safe")),
        ("migration", 8, ("migrate, migration, migrations, backward compatible, "
                          "backwards compatible, legacy")),
        ("scale", 8, ("scalable, scalability, high availability, throughput, low latency, "
                      "real time, fault tolerant")),
        ("proof", 8, "prove, proof, theorem, derive, integral, polynomial, combinatorics"),
        ("thorough", 8, ("comprehensive, thorough, thoroughly, detailed, in depth, extensive, "
                         "exhaustive, in detail")),
        ("integration", 6, "integrate, integration, integrations, third party, oauth, sso"),
        ("algorithm", 6, ("algorithm, algorithms, dynamic programming, recursion, recursive, "
                          "optimal, state machine, parser, compiler")),
        ("performance", 5, ("performance, optimize, optimise, optimization, optimisation, "
                            "efficient, profiling, memory leak")),
        ("several", 5, "multiple, several, various, across, all files, many files"),
    ),
    "less": (
        ("trivial", -10, "trivial, typo, typos, spelling, whitespace, one line, one liner"),
        ("simple", -8, "simple, simply, easy, basic, straightforward, minor"),
        ("small", -5, ("small, tiny, little, short, quick, quickly, brief, briefly, concise, "
                       "one word, one sentence")),
    ),
})  # fmt: skip

UNCERTAINTY_BASE: Final = 0.30
UNCERTAINTY_BRIEF: Final = (8, 0.15)
"""Fewer words than this, in anything but a question or a conversation, add this."""
UNCERTAINTY_LISTED: Final = (3, -0.05)
"""At least so many list items add this."""
UNCERTAINTY_SUBTASKS: Final = -0.10

UNCERTAINTY: Final = _table({
    "less clear": (
        ("doubt", 0.15, ("maybe, perhaps, possibly, probably, might, not sure, unsure, i think, "
                         "i guess, no idea, don t know")),
        ("vague", 0.15, ("somehow, something, stuff, whatever, some kind of, some sort of, "
                         "something like, and so on, or so")),
        ("open", 0.15, ("unclear, ambiguous, tbd, to be determined, to be decided, "
                        "open question, open questions, not specified, figure out")),
        ("irregular", 0.15, ("intermittent, intermittently, sporadic, sporadically, sometimes, "
                             "flaky, randomly, occasionally")),
        ("explore", 0.10, ("explore, investigate, research, brainstorm, experiment, prototype, "
                           "spike, proof of concept, ideas")),
        ("better", 0.10, ("improve, improved, improvement, improvements, better, nicer, enhance, "
                          "modern, user friendly")),
    ),
    "clearer": (
        ("acceptance", -0.15, ("acceptance criteria, acceptance, definition of done, "
                               "expected behavior, expected behaviour, expected output, "
                               "expected result, expected results")),
        ("reproduce", -0.10, "steps to reproduce, reproduce, minimal example, reproducible"),
        ("exact", -0.10, ("exactly, precisely, must, must not, shall, required, requirement, "
                          "requirements, specification")),
        ("example", -0.05, ("for example, for instance, e g, such as, following format, "
                            "json format, output format, given")),
    ),
})  # fmt: skip

CRITICALITY_BASE: Final = 0.30
CRITICALITY_CUES: Final = (-0.2, 0.6)
"""The least and the most that criticality cues add up to."""

CRITICALITY: Final = _table({
    "more": (
        ("data loss", 0.25, ("data loss, lost data, losing data, loses data, data corruption, "
                             "corrupt data, corrupted data, corruption")),
        ("outage", 0.25, ("outage, outages, downtime, incident, sev1, site is down, "
                          "service is down")),
        ("attack", 0.20, ("vulnerability, vulnerabilities, exploit, exploits, breach, "
                          "sql injection, xss, csrf, cve, privilege escalation")),
        ("urgent", 0.20, ("urgent, urgently, asap, immediately, emergency, critical, blocker, "
                          "hotfix, right away")),
        ("health", 0.20, ("patient, patients, medical, dosage, clinical, life threatening, "
                          "safety critical")),
        ("security", 0.15, "security, insecure, encryption, secrets, credentials"),
        ("production", 0.15, "production, prod, customer facing, live system"),
        ("payment", 0.15, ("payment, payments, billing, billed, invoice, invoices, checkout, "
                           "refund, refunds, credit card, payroll, bank transfer")),
        ("law", 0.15, "compliance, gdpr, hipaa, pci, sox, legal, regulatory, lawsuit"),
        ("personal data", 0.10, "personal data, pii, user data, customer data, privacy"),
    ),
    "less": (
        ("cosmetic", -0.15, "cosmetic, typo, typos, nice to have, whitespace"),
        ("play", -0.10, "toy, prototype, playground, sandbox, hobby, homework, for fun"),
    ),
})  # fmt: skip

CREATIVE_THRESHOLD: Final = 1.0

CREATIVE: Final = _table({
    "creative": (
        ("verse", 1, ("poem, poems, poetry, lyrics, haiku, limerick, sonnet, screenplay, "
                      "fiction, fictional, short story, fairy tale, write a story, "
                      "write a song, fanfiction")),
        ("ideas", 1, ("brainstorm, brainstorming, creative, creatively, imaginative, slogan, "
                      "slogans, tagline, come up with, catchy")),
        ("imagine", 0.5, ("imagine, invent, humorous, funny, joke, jokes, story, stories, "
                          "character, dialogue, roleplay, pretend, storyboard, logo, branding")),
        ("original", 0.5, "original, unique, vivid, whimsical, playful, inspiring, artistic"),
    ),
})  # fmt: skip

TABLES: Final = MappingProxyType({
    "task_type": TASK_TYPE, "domains": DOMAIN, "complexity": COMPLEXITY,
    "uncertainty": UNCERTAINTY, "criticality": CRITICALITY, "creative": CREATIVE,
})  # fmt: skip
"""Each table under the characteristic it serves; ``architecture`` is the domain of that name."""

OBSERVATION: Final = "<{["
"""A newest message that starts so is a tool's output: place "opening" counts in its stead."""

PLACES: Final = MappingProxyType({
    "keyword": 1.0, "label": 1.0, "opening": 0.5, "system": 0.25,
})  # fmt: skip
"""What a cue's weight is multiplied by, by where it stands; the highest place counts, once."""

SYSTEM_TABLES: Final = frozenset({"task_type", "domains"})
"""A system prompt says what an agent is for, not how hard or urgent this call is."""

SCANNED: Final = MappingProxyType({
    "keyword": (4000, 4000), "label": (2000, 0), "opening": (2000, 0), "system": (1000, 0),
})  # fmt: skip
"""How many characters are read from the head and from the tail of a text, by place."""
