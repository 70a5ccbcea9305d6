"""What may never be collected (浙江省公共信用信息管理条例 14), wherever a column is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from connectors.department import DEPARTMENTS, load_departments
from exchange_formats.datasets import CATALOGUE, Dataset
from exchange_formats.deny_list import find_denied, load_deny_list

DENIED = [
    ("religion", ["宗教信仰", "宗教", "信仰情况", "religion", "RELIGION", "party_religion", "religiousBelief", "ZJXY"]),
    ("genes", ["基因检测", "gene", "GeneticData", "dna_sample", "ＤＮＡ"]),
    ("fingerprints", ["指纹", "法人指纹信息", "fingerprint", "finger_fingerprint_no", "zhiwen"]),
    ("blood_type", ["血型", "血 型", "血_型", "blood_type", "bloodType", "BLOOD-TYPE", "bloodtype"]),
    ("illness", ["疾病", "患病情况", "既往病史", "诊断结果", "disease_code", "medicalHistory", "JIBING"]),
]
CONSENTED = [
    ("income", ["个人收入", "年收入", "personal_income", "salary"]),
    ("deposits", ["存款余额", "bankDeposits"]),
    ("securities", ["有价证券", "证券账户"]),
    ("insurance", ["商业保险", "保单号", "insurance_policy"]),
    ("real_estate", ["不动产信息", "名下房产", "real_estate_owned"]),
    ("tax_paid", ["纳税数额", "tax_paid"]),
]
HARMLESS = [
    *("xx_general", "general", "generation", "genre", "redness", "geneva", "XX", "faithful_record", "bleeding_edge"),
    *("宗教活动场所", "宗教活动场所代码", "宗教团体名称", "religious_venue_no", "疾病预防控制中心代码", "诊断机构名称"),
    *("转基因标识", "disease_control_centre", "职业病危害因素检测", "献血次数", "社会保险缴纳情况", "税务非正常户"),
    *("营业收入", "企业年收入", "违法所得", "没收违法所得", "注册资本", "保证金", "salary_arrears", "房地产开发资质"),
    *("CF_NR", "JCJG_BM", "subject_name", "罚款金额（元）", "", "_", "　"),
]


@pytest.mark.parametrize(("category", "name"), [(one, name) for one, names in DENIED for name in names])
def test_a_name_is_denied_when_it_says_what_is_forbidden(category: str, name: str) -> None:
    titles = {one.id: one for one in load_deny_list().categories}
    found = find_denied(name)
    assert found.startswith(f"{titles[category].title} {titles[category].title_en} (")
    assert "14" in found
    assert find_denied(name, without_consent=False) == found, "no consent makes it good"


@pytest.mark.parametrize(("category", "name"), [(one, name) for one, names in CONSENTED for name in names])
def test_a_name_is_denied_only_without_consent_when_a_person_may_consent(category: str, name: str) -> None:
    titles = {one.id: one.title for one in load_deny_list().categories}
    assert find_denied(name).startswith(f"{titles[category]} ")
    assert "书面同意" in find_denied(name)
    assert find_denied(name, without_consent=False) == ""


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_is_not_denied_when_it_only_looks_alike(name: str) -> None:
    assert find_denied(name) == ""


def declare(**changes: Any) -> Dataset:
    document = yaml.safe_load((CATALOGUE / "honour@1.yaml").read_text(encoding="utf-8"))
    fields = document["fields"] | changes.pop("fields", {})
    return Dataset.model_validate(document | {"fields": fields} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "blood_type"},
        {"title": "病史记录"},
        {"title_en": "religion of members"},
        {"fields": {"faith_no": {"title": "宗教信仰", "type": "string"}}},
        {"fields": {"dna": {"title": "样本", "type": "string"}}},
        {"fields": {"sample": {"title": "样本", "title_en": "gene sample", "type": "string"}}},
        {"fields": {"balance": {"title": "存款余额", "type": "integer"}}},
    ],
)
def test_a_dataset_cannot_be_declared_when_it_names_what_is_denied(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="may not be collected"):
        declare(**changes)


def test_a_column_can_be_declared_when_consent_is_named_or_no_person_is_a_subject() -> None:
    fields = {"balance": {"title": "存款余额", "type": "integer"}}
    assert "balance" in declare(fields=fields, consent="授权书 (申请人书面同意)").fields
    assert "balance" in declare(fields=fields, subject_types=["enterprise"]).fields


#: Department, what its file says, what is written instead, the key that the problem must name, and why.
PLACES = [
    (
        "ecology_environment",
        "subject_name: JCDXMC\n",
        "subject_name: BLOOD_TYPE\n",
        "inspection.columns.subject_name",
        "血型",
    ),
    ("ecology_environment", "    key: [TSBH]\n", "    key: [TSBH, 宗教信仰]\n", "complaint.key[1]", "宗教信仰"),
    ("ecology_environment", "      level: RYJB\n", "      level: 年收入\n", "honour.columns.level", "书面同意"),
    ("emergency_management", "person: 证件号码}", "person: 病历号}", "penalty.columns.subject_id.person", "疾病"),
    ("emergency_management", "    party: 统一社会信用代码\n", "    party: 指纹\n", "penalty.party", "指纹"),
]


@pytest.mark.parametrize(("department", "old", "new", "place", "why"), PLACES)
def test_a_source_column_is_refused_at_its_place_when_it_is_denied(
    tmp_path: Path, department: str, old: str, new: str, place: str, why: str
) -> None:
    text = (DEPARTMENTS / f"{department}.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    changed = text.replace(old, new)
    (tmp_path / f"{department}.yaml").write_text(changed, encoding="utf-8")
    line = changed[: changed.index(new)].count("\n") + 1
    [problem] = load_departments(tmp_path).problems[department]
    assert "may not be collected" in problem.what
    assert why in problem.what
    assert (problem.file, problem.line) == (f"{department}.yaml", line)
    assert problem.column > 1
    assert problem.key.startswith(f"datasets.{place}")


def test_a_source_column_may_be_named_when_it_is_ignored(tmp_path: Path) -> None:
    text = (DEPARTMENTS / "ecology_environment.yaml").read_text(encoding="utf-8")
    changed = text.replace("    ignore: [ID, LXDH]\n", "    ignore: [ID, LXDH, 血型, 宗教信仰]\n")
    assert changed != text
    (tmp_path / "ecology_environment.yaml").write_text(changed, encoding="utf-8")
    assert load_departments(tmp_path).problems == {}


def test_values_are_nobodys_concern_when_codes_are_mapped(tmp_path: Path) -> None:
    text = (DEPARTMENTS / "ecology_environment.yaml").read_text(encoding="utf-8")
    changed = text.replace("{正常: active, ", "{疾病预防控制中心: active, 诊断: active, 正常: active, ")
    assert changed != text
    (tmp_path / "ecology_environment.yaml").write_text(changed, encoding="utf-8")
    assert load_departments(tmp_path).problems == {}
