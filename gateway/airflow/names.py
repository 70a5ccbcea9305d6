"""Names that the DAGs share: ids, assets, tags."""

from __future__ import annotations

import re
from typing import Final

from airflow.sdk import Asset, AssetAlias

DEPARTMENT_PREFIX: Final = "department__"
DOMAIN_PREFIX: Final = "domain__"
PUBLIC_CREDIT: Final = "public_credit"
HOUSEKEEPING: Final = "housekeeping"
TIMEZONE: Final = "Asia/Shanghai"
#: Owns what belongs to no participant.
GATEWAY_TEAM: Final = "xinqiao"

KIND_DEPARTMENT: Final = "kind/department"
KIND_PLATFORM: Final = "kind/platform"
KIND_DOMAIN: Final = "kind/domain"
KIND_GATEWAY: Final = "kind/gateway"
STAGE_COLLECT: Final = "stage/collect"
STAGE_TELL: Final = "stage/tell"
STAGE_SCORE: Final = "stage/score"
STAGE_PUBLISH: Final = "stage/publish"
STAGE_PURGE: Final = "stage/purge"
STAGE_WITNESS: Final = "stage/witness"
STAGE_QUARANTINE: Final = "stage/quarantine"
#: Every tag there is, department ids aside: people filter by them.
TAGS: Final = (
    KIND_DEPARTMENT,
    KIND_PLATFORM,
    KIND_DOMAIN,
    KIND_GATEWAY,
    STAGE_COLLECT,
    STAGE_TELL,
    STAGE_SCORE,
    STAGE_PUBLISH,
    STAGE_PURGE,
    STAGE_WITNESS,
    STAGE_QUARANTINE,
)


def name_dag(prefix: str, identifier: str) -> str:
    """The id of a department's or domain's DAG; a file may be called anything: what Airflow refuses becomes ``_``."""
    return prefix + re.sub(r"[^A-Za-z0-9_.-]", "_", identifier)


def dataset_asset(source: str) -> Asset:
    """The asset of ``department/dataset``: its event means that the lake is up to date with the department's system."""
    return Asset(name=source, uri=f"x-credit://{source}", group="dataset")


def department_alias(department_id: str) -> AssetAlias:
    """Stands for the datasets of a department that one of its runs collected: which ones, only the run knows."""
    return AssetAlias(name=f"{department_id}/collected", group="dataset")
