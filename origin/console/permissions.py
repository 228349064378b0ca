"""Who may do what: the one table that every page and every call of the API is in."""

from collections.abc import Iterable

from kvsync.errors import InputError
from origin.console.tables import ROLES, Role

Needed = Role | None
"""None is for anybody, logged in or not."""

# By the name of the route, which is the name of its function.
NEEDED: dict[str, Needed] = {
    # coming and going
    "static": None,
    "healthz": None,
    "login_page": None,
    "log_in": None,
    "log_out": "viewer",
    "password_page": "viewer",
    "change_password": "viewer",
    # looking
    "home": "viewer",
    "property_page": "viewer",
    "test_urls": "viewer",
    "rules_page": "viewer",
    "family_manifest": "viewer",
    "set_page": "viewer",
    "set_progress": "viewer",
    "queue_page": "viewer",
    "candidate_page": "viewer",
    "picture": "viewer",
    "live_page": "viewer",
    "change_page": "viewer",
    "change_progress": "viewer",
    "audit_page": "viewer",
    "export_audit": "viewer",
    # the hit list
    "hitlist_page": "viewer",
    "hitlist_export": "viewer",
    "hitlist_family": "viewer",
    "hitlist_taking": "viewer",
    "hitlist_picture": "viewer",
    "take_family": "operator",
    # what it saves
    "dashboard_static": None,
    "dashboard_page": "viewer",
    "dashboard_figures": "viewer",
    "what_if_part": "viewer",
    "statement_page": "viewer",
    "rows_page": "viewer",
    "rows_csv": "viewer",
    "figures_csv": "viewer",
    "policy_page": "viewer",
    "prices_page": "viewer",
    "ledger_metrics": "viewer",
    "choose_policy": "approver",
    "choose_prices": "admin",
    # prompt sets and jobs
    "upload_page": "operator",
    "example_set": "operator",
    "preview_set": "operator",
    "import_set": "operator",
    "gather_set": "operator",
    "rejected_lines": "operator",
    "generate": "operator",
    "steer_job": "operator",
    "comment": "operator",
    "originals_page": "operator",
    "preview_originals": "operator",
    "import_originals": "operator",
    "new_family": "operator",
    "try_family": "operator",
    "create_family": "operator",
    # deciding and what shoppers see
    "decide": "approver",
    "undo": "approver",
    "draw_sample": "approver",
    "approve_rest": "approver",
    "publish": "approver",
    "go_everywhere": "approver",
    "revoke": "approver",
    "roll_back": "approver",
    # properties
    "new_property": "admin",
    "try_property": "admin",
    "create_property": "admin",
    # people
    "people_page": "admin",
    "add_account": "admin",
    "change_account": "admin",
    "add_token": "viewer",
    "revoke_token": "viewer",
    "tokens_page": "viewer",
    # the API
    "openapi": "viewer",
    "api_properties": "viewer",
    "api_create_property": "admin",
    "api_test_urls": "viewer",
    "api_create_family": "operator",
    "api_manifest": "viewer",
    "api_put_original": "operator",
    "api_set": "viewer",
    "api_words": "viewer",
    "api_sample": "viewer",
    "api_evidence": "viewer",
    "api_draw_sample": "approver",
    "api_approve_rest": "approver",
    "api_sets": "viewer",
    "api_preview": "operator",
    "api_import": "operator",
    "api_gather": "operator",
    "api_generate": "operator",
    "api_job": "viewer",
    "api_steer_job": "operator",
    "api_candidates": "viewer",
    "api_candidate": "viewer",
    "api_decide": "approver",
    "api_undo": "approver",
    "api_comments": "viewer",
    "api_comment": "operator",
    "api_live": "viewer",
    "api_change": "viewer",
    "api_publications": "viewer",
    "api_counts": "viewer",
    "api_publish": "approver",
    "api_revoke": "approver",
    "api_go_everywhere": "approver",
    "api_roll_back": "approver",
    "api_audit": "viewer",
    "api_savings": "viewer",
    "api_savings_parts": "viewer",
    "api_traffic": "viewer",
    "api_ledger_rows": "viewer",
    "api_what_if": "viewer",
    "api_ways": "viewer",
    "api_policies": "viewer",
    "api_figures": "viewer",
    "api_choose_policy": "approver",
    "api_prices": "viewer",
}


def allows(role: Role, needed: Needed) -> bool:
    """Whether somebody of ``role`` may use what needs ``needed``."""
    return needed is None or ROLES.index(role) >= ROLES.index(needed)


def check_table(routes: Iterable[str]) -> None:
    """:class:`InputError` for a route that the table does not know, or the table alone does."""
    found = set(routes)
    if stray := sorted(found ^ NEEDED.keys()):
        raise InputError(f"permissions: {', '.join(stray)} is a route or in the table, not both")
