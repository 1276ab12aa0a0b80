"""The list of pitfalls, and the test of each: none is forgotten.

It follows `poolers.md`, "Pitfalls a correct transaction-mode pooler must handle", sentence by
sentence. Those of startup and authentication have their tests with the logins.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent

PITFALLS: dict[str, dict[str, tuple[str, ...]]] = {
    "pipelines": {
        "release only when outstanding ReadyForQuery = 0 (#52, supavisor#1079)": (
            "backend_released_only_when_no_ready_for_query_is_outstanding",
        ),
        "Parse/Describe/Flush/Bind/Execute/Flush is not a completion (pgdog#760)": (
            "describe_and_flush_is_no_completion",
        ),
        "after an error skip to Sync": ("after_an_error_all_is_skipped_to_sync",),
        "replies to injected Parse/Close need an ordered queue (#1120)": (
            "replies_to_injected_messages_keep_their_place",
        ),
        "a Query inside a failed, unsynced batch yields no ReadyForQuery (pgdog#1356)": (
            "query_in_a_failed_unsynced_batch_gives_no_ready_for_query",
        ),
        "a simple Query clears the unnamed statement and portal": (
            "simple_query_clears_the_unnamed_statement_and_portal",
        ),
        "PortalSuspended keeps the backend (pgdog#763, #1332)": (
            "portal_suspended_keeps_the_backend",
        ),
        "a half-sent request when the client vanishes (pgdog#762, #805)": (
            "half_sent_request_of_a_vanished_client_reaches_nobody",
        ),
    },
    "prepared": {
        "key on SQL + parameter OIDs": ("statements_are_keyed_on_text_and_parameter_types",),
        "replay Parse before Bind and Describe": (
            "parse_is_replayed_before_bind_and_before_describe",
        ),
        "closing a portal is not closing the statement (pgdog#1338)": (
            "closing_a_portal_is_not_closing_the_statement",
        ),
        "on eviction send Close and swallow its reply, never mid-pipeline": (
            "eviction_closes_between_leases_and_never_within_a_pipeline",
        ),
        "a failed Parse is not cached": ("failed_parse_is_not_cached",),
        "a duplicate name errors": ("duplicate_name_is_an_error",),
        "an unknown Close succeeds": ("close_of_an_unknown_name_succeeds",),
        "DEALLOCATE [ALL] and DISCARD ALL reset both maps": (
            "deallocate_and_discard_reset_both_maps",
        ),
        "re-prepare on 0A000": (
            "statement_is_prepared_anew_when_its_result_has_changed",
            "client_that_gets_a_changed_result_error_can_go_on",
        ),
        "Parse, Bind and names larger than any buffer": (
            "parse_bind_and_names_larger_than_any_buffer",
        ),
    },
    "copy": {
        "on error or CopyFail discard until CopyDone/Sync (#1025)": (
            "after_an_error_copy_data_is_discarded_up_to_its_end",
            "after_an_error_in_the_extended_protocol_all_is_discarded_up_to_sync",
            "copy_of_a_client_that_vanishes_is_ended",
        ),
        "backpressure both ways": (
            "copy_out_to_a_client_that_does_not_read_holds_the_server",
            "copy_in_to_a_server_that_does_not_read_holds_the_client",
        ),
    },
    "state": {
        "diff ParameterStatus at each checkout": ("parameters_are_compared_at_each_checkout",),
        "quote values": ("values_are_quoted",),
        "exact case": ("names_keep_their_exact_case",),
        "empty application_name": ("empty_application_name_is_a_value",),
        "no redundant SET (#879)": ("no_redundant_set",),
        "SET LOCAL and ROLLBACK": ("set_local_and_rollback_leave_nothing",),
        "a deferred invalid SET (pgdog#887)": (
            "invalid_set_fails_at_once_and_for_its_client_alone",
        ),
        "pin or clean: set_config": ("set_config_stays_with_its_client",),
        "pin or clean: SET ROLE": ("set_role_stays_with_its_client",),
        "pin or clean: temp tables": ("temp_tables_stay_with_their_client",),
        "pin or clean: session advisory locks": ("session_advisory_locks_stay_with_their_client",),
        "pin or clean: WITH HOLD cursors": ("with_hold_cursors_stay_with_their_client",),
        "pin or clean: LISTEN": ("listen_stays_with_its_client",),
        "a NOTICE, NOTIFY or ParameterStatus on an idle backend is not dirt": (
            "notice_notification_or_parameter_status_on_an_idle_backend_is_no_dirt",
        ),
    },
    "cancel": {
        "map the secret to the client's current backend": (
            "secret_is_mapped_to_the_clients_current_backend",
            "secrets_are_not_guessable_from_one_another",
        ),
        "await cancels in flight before reuse (#717)": (
            "cancels_in_flight_are_awaited_before_reuse",
        ),
        "ignore when idle (#298)": ("cancel_while_idle_is_ignored",),
        "ignore during parameter sync (#298)": ("cancel_during_parameter_sync_waits_for_it",),
        "no ReadyForQuery on the cancel's own connection (#141)": (
            "cancels_own_connection_is_told_nothing",
        ),
        "allow slots beyond the pool size (#542)": ("cancels_have_slots_beyond_the_limits",),
        "servers without BackendKeyData (pgdog#918)": ("servers_without_backend_key_data",),
        "3.2 keys are 4-256 bytes": ("keys_of_4_to_256_bytes",),
        "Ctrl-C while queued (#1222)": ("cancel_while_queued_takes_the_client_out",),
    },
    "lifecycle": {
        "FATAL or EOF while idle: check before handing out (pgdog#1318)": (
            "fatal_or_end_while_idle_is_found_before_handing_out",
            "fatal_while_idle_without_an_end",
        ),
        "one error to the client, not two (pgdog#841)": ("one_error_not_two",),
        "starting up FATAL: retry (#946)": ("server_that_is_starting_up_is_tried_again",),
        "client gone mid-transaction: ROLLBACK and drain, or close": (
            "client_gone_in_a_transaction_is_rolled_back",
            "backend_is_not_left_behind_by_a_client_that_comes_and_goes",
        ),
        "client gone mid-query: cancel": ("client_gone_in_a_query_is_cancelled",),
        "idle-in-transaction timeout": ("idle_in_transaction_timeout",),
        "query timeout": ("query_timeout", "transaction_timeout"),
        "queue timeout": ("queue_timeout",),
        "FIFO fairness": ("queue_is_first_in_first_out",),
        "fairness between a huge result and small ones": ("huge_result_starves_no_small_ones",),
        "RELOAD keeps connections whose settings did not change": (
            "reload_keeps_connections_whose_settings_did_not_change",
        ),
        "replication connections are dedicated": ("replication_connections_are_never_shared",),
        "FunctionCall messages (odyssey#1444, pgdog#957)": ("function_call_messages_are_answered",),
        "TLS pending data and write deadlock (odyssey#1459, supavisor#993)": (
            "both_sides_writing_is_no_deadlock",
            "tls_pending_data_is_not_left_behind",
        ),
    },
}
"""By theme: the pitfall in the words of the list, and the names of its tests."""

LATER = {
    "PAUSE mid-pipeline": "with the admin console, of a later issue",
    "console: simple protocol only; KILL_CLIENT needs authority (CVE-2026-6667)": (
        "with the admin console, of a later issue"
    ),
}
"""Pitfalls of what there is not yet."""


def found_in(theme: str) -> dict[str, str]:
    """The tests of a theme's files, by name without its beginning; with their docstrings."""
    found = {}
    for path in sorted(HERE.glob(f"test_pitfalls_{theme}*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_pitfall_"):
                found[node.name.removeprefix("test_pitfall_")] = ast.get_docstring(node) or ""
    return found


@pytest.mark.parametrize("theme", PITFALLS)
def test_each_pitfall_has_its_tests_and_each_test_its_pitfall(theme: str) -> None:
    listed = sorted(name for names in PITFALLS[theme].values() for name in names)
    assert listed == sorted(found_in(theme))
    assert all(found_in(theme).values()), "a docstring says what goes wrong"


@pytest.mark.parametrize("theme", PITFALLS)
def test_the_reports_that_a_pitfall_names_are_named_by_its_tests(theme: str) -> None:
    docstrings = found_in(theme)
    for pitfall, names in PITFALLS[theme].items():
        _, _, reports = pitfall.rstrip(")").partition(" (")
        said = " ".join(docstrings[name] for name in names)
        for report in filter(None, reports.split(", ")):
            assert report.rpartition("#")[2] in said, f"{report} of {pitfall!r}"
