"""What each department punishes or finds: the texts a source carries, one entry per violation code.

Codes are those of the indicators (``2105`` feeds ``IND2105``). The entries are data: a YAML mapping classifies a
record by ``CF_WFXW`` (penalties), ``WTLX`` (inspections), ``SPECAUSE_CN`` and so on, all of which are written here.
Articles are those named in domain facts §2.4; an entry with code ``None`` is an offence no indicator claims.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.simulators import sanctions as s
from gateway.simulators.sanctions import Sanction


@dataclass(frozen=True, slots=True)
class Offence:
    """A punishable act: type (CF_WFXW), basis (CF_YJ), facts (CF_SY), usual sanctions, relative frequency."""

    code: str | None
    conduct: str
    basis: str
    facts: str
    sanctions: tuple[Sanction, ...]
    weight: int
    veto: bool = False
    third_party_only: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """An outcome of an inspection: category (JCLB), matter (JCSX), problem type (WTLX), problem text (WTMS)."""

    code: str | None
    category: str
    matter: str
    problem: str
    description: str
    weight: int


MARKET_OFFENCES = (
    Offence(
        "2105",
        "生产经营不符合食品安全标准的食品",
        "《中华人民共和国食品安全法》第一百二十四条第一款",
        "经营的食品经检验不符合食品安全国家标准",
        (s.FINE_SMALL, s.FINE_MIDDLE, s.FINE_MINOR, s.FINE_AND_PROCEEDS, s.REVOKED),
        30,
    ),
    Offence(
        "2105",
        "未按规定履行食品安全过程管理义务",
        "《中华人民共和国食品安全法》第一百二十六条第一款",
        "进货时未查验许可证和相关证明文件, 未建立进货查验记录制度",
        (s.WARNING, s.FINE_SMALL, s.FINE_MINOR, s.HALTED),
        20,
    ),
    Offence(
        "2107",
        "销售侵犯注册商标专用权的商品",
        "《中华人民共和国商标法》第六十条第二款",
        "销售的商品标有与他人注册商标相同的标识, 经权利人鉴定为假冒",
        (s.FINE_MIDDLE, s.GOODS, s.FINE_LARGE),
        5,
    ),
    Offence(
        "2107",
        "生产销售以假充真、以次充好的产品",
        "《中华人民共和国产品质量法》第五十条",
        "在产品中掺杂掺假, 以不合格产品冒充合格产品",
        (s.FINE_LARGE, s.FINE_HUGE, s.PROCEEDS),
        3,
    ),
    Offence(
        "2108",
        "使用未经检验或者超过检验有效期的特种设备",
        "《中华人民共和国特种设备安全法》第八十四条第(一)项",
        "在用叉车、压力容器超过检验有效期仍继续使用",
        (s.FINE_SMALL, s.FINE_MIDDLE, s.HALTED),
        12,
    ),
    Offence(
        "2110",
        "发布虚假广告",
        "《中华人民共和国广告法》第五十五条第一款",
        "在网店页面使用与实际不符的内容欺骗、误导消费者",
        (s.FINE_MIDDLE, s.FINE_LARGE, s.FINE_SMALL),
        10,
    ),
    Offence(
        "2110",
        "未按规定明码标价",
        "《中华人民共和国价格法》第四十二条",
        "销售商品未按规定明码标价",
        (s.FINE_MINOR, s.WARNING, s.PROCEEDS),
        10,
    ),
    Offence(
        "2110",
        "达成并实施垄断协议",
        "《中华人民共和国反垄断法》第五十六条第一款",
        "与具有竞争关系的经营者达成固定商品价格的协议",
        (s.FINE_HUGE, s.FINE_LARGE),
        1,
    ),
    Offence(
        None,
        "未按规定办理变更登记",
        "《中华人民共和国市场主体登记管理条例》第四十六条",
        "住所变更后未在法定期限内申请变更登记",
        (s.WARNING, s.FINE_SMALL, s.REVOKED),
        8,
    ),
    Offence(
        None,
        "使用未经检定的计量器具",
        "《中华人民共和国计量法》第二十五条",
        "使用未按规定申请检定的电子计价秤",
        (s.FINE_MINOR, s.CRITICISM),
        5,
    ),
)

ECOLOGY_OFFENCES = (
    Offence(
        "1201",
        "超过水污染物排放标准或者超过重点水污染物排放总量控制指标排放水污染物",
        "《中华人民共和国水污染防治法》第八十三条第(二)项、《中华人民共和国环境保护法》第六十条",
        "废水总排口化学需氧量、氨氮浓度超过排放标准",
        (s.FINE_LARGE, s.FINE_MIDDLE, s.RESTRICTED, s.FINE_HUGE),
        25,
    ),
    Offence(
        "1201",
        "超过大气污染物排放标准排放大气污染物",
        "《中华人民共和国大气污染防治法》第九十九条第(二)项、《中华人民共和国环境保护法》第六十条",
        "废气排放口非甲烷总烃浓度超过排放标准",
        (s.FINE_MIDDLE, s.FINE_LARGE, s.HALTED),
        20,
    ),
    Offence(
        "1202",
        "违法排放污染物受到罚款处罚拒不改正",
        "《中华人民共和国环境保护法》第五十九条第一款",
        "责令改正后复查仍超标排放, 按原处罚数额按日连续处罚",
        (s.FINE_HUGE, s.FINE_LARGE),
        4,
    ),
    Offence(
        "1203",
        "通过暗管、渗井或者篡改、伪造监测数据等逃避监管的方式排放污染物",
        "《中华人民共和国环境保护法》第六十三条第(三)项",
        "私设暗管将未经处理的废水排入雨水管网",
        (s.FINE_LARGE, s.DETAINED, s.FINE_HUGE),
        3,
        veto=True,
    ),
    Offence(
        "1204",
        "未依法进行环境影响评价擅自开工建设且拒不停止建设",
        "《中华人民共和国环境保护法》第六十三条第(一)项",
        "环境影响评价文件未经批准即开工建设, 被责令停止建设后拒不执行",
        (s.FINE_MIDDLE, s.HALTED, s.CLOSED),
        4,
    ),
    Offence(
        "1205",
        "未取得排污许可证排放污染物",
        "《排污许可管理条例》第三十三条第(一)项",
        "未取得排污许可证排放生产废水",
        (s.FINE_LARGE, s.RESTRICTED, s.FINE_HUGE),
        8,
    ),
    Offence(
        "1206",
        "未按照规定贮存、转移、处置危险废物",
        "《中华人民共和国固体废物污染环境防治法》第一百一十二条",
        "将废机油、废活性炭委托无危险废物经营许可证的单位处置",
        (s.FINE_LARGE, s.FINE_MIDDLE, s.FINE_HUGE, s.SUSPENDED),
        10,
    ),
    Offence(
        "1207",
        "未按规定开展自行监测或者公开监测信息",
        "《排污许可管理条例》第三十六条第(五)项、第(六)项",
        "未按照排污许可证规定制定自行监测方案并开展自行监测",
        (s.FINE_SMALL, s.WARNING, s.FINE_MINOR),
        10,
    ),
    Offence(
        "1211",
        "接受委托编制的环境影响报告书、检测报告等弄虚作假",
        "《中华人民共和国环境影响评价法》第三十二条第二款",
        "出具的检测报告采样时间、点位与实际不符, 数据系伪造",
        (s.FINE_LARGE, s.BARRED, s.REVOKED),
        2,
        veto=True,
        third_party_only=True,
    ),
    Offence(
        None,
        "需要配套建设的环境保护设施未经验收即投入生产或者使用",
        "《建设项目环境保护管理条例》第二十三条第一款",
        "喷漆车间废气治理设施未经验收, 主体工程正式投入生产",
        (s.FINE_LARGE, s.FINE_MIDDLE),
        8,
    ),
    Offence(
        None,
        "产生噪声污染的单位未采取有效措施",
        "《中华人民共和国噪声污染防治法》第七十五条",
        "厂界夜间噪声超过排放标准",
        (s.FINE_MINOR, s.FINE_SMALL, s.CRITICISM),
        6,
    ),
)

EMERGENCY_OFFENCES = (
    Offence(
        "2003",
        "瞒报、谎报生产安全事故",
        "《生产安全事故报告和调查处理条例》第三十六条第(一)项",
        "事故发生后未按规定上报, 经核查属瞒报",
        (s.FINE_HUGE, s.DETAINED),
        2,
        veto=True,
    ),
    Offence(
        "2004",
        "未采取措施消除事故隐患, 拒不执行监管指令",
        "《中华人民共和国安全生产法》第一百零二条",
        "重大事故隐患整改指令到期后仍未采取措施消除",
        (s.FINE_SMALL, s.HALTED, s.FINE_MIDDLE),
        14,
    ),
    Offence(
        "2005",
        "未按规定设置安全生产管理机构或者配备安全生产管理人员",
        "《中华人民共和国安全生产法》第九十七条第(一)项",
        "危险物品储存单位未配备专职安全生产管理人员",
        (s.FINE_SMALL, s.FINE_MIDDLE, s.HALTED),
        8,
    ),
    Offence(
        "2005",
        "主要负责人和安全生产管理人员未按规定经考核合格",
        "《中华人民共和国安全生产法》第九十七条第(二)项",
        "主要负责人未经安全生产知识和管理能力考核合格",
        (s.FINE_SMALL, s.FINE_MINOR),
        6,
    ),
    Offence(
        "2006",
        "特种作业人员未按规定取得相应资格上岗作业",
        "《中华人民共和国安全生产法》第九十七条第(七)项",
        "电焊工未取得特种作业操作证上岗作业",
        (s.FINE_SMALL, s.FINE_MINOR, s.FINE_MIDDLE),
        18,
    ),
    Offence(
        "2007",
        "员工宿舍与危险物品场所在同一建筑物内或者封堵出口",
        "《中华人民共和国安全生产法》第一百零五条",
        "危险化学品仓库与员工宿舍设在同一座建筑内",
        (s.FINE_SMALL, s.HALTED, s.CLOSED),
        5,
    ),
    Offence(
        "2008",
        "高危行业单位未投保安全生产责任保险",
        "《中华人民共和国安全生产法》第一百零九条",
        "危险化学品生产单位未按规定投保安全生产责任保险",
        (s.FINE_MIDDLE, s.FINE_LARGE),
        6,
    ),
    Offence(
        "2009",
        "未如实记录事故隐患排查治理情况",
        "《中华人民共和国安全生产法》第九十七条第(五)项",
        "隐患排查台账与现场实际不符",
        (s.FINE_SMALL, s.FINE_MINOR, s.WARNING),
        12,
    ),
    Offence(
        "2009",
        "未如实记录安全生产教育和培训情况",
        "《中华人民共和国安全生产法》第九十七条第(四)项",
        "三级安全教育档案系事后补签",
        (s.FINE_SMALL, s.WARNING, s.FINE_MINOR),
        8,
    ),
    Offence(
        None,
        "未在有较大危险因素的设施上设置安全警示标志",
        "《中华人民共和国安全生产法》第九十九条第(一)项",
        "有限空间作业场所未设置明显的安全警示标志",
        (s.FINE_SMALL, s.CRITICISM, s.FINE_MINOR),
        10,
    ),
    Offence(
        None,
        "对重大危险源未登记建档或者未进行评估、监控",
        "《中华人民共和国安全生产法》第一百零一条第(二)项",
        "构成重大危险源的储罐区未进行定期检测、评估、监控",
        (s.FINE_LARGE, s.FINE_HUGE, s.SUSPENDED, s.REVOKED),
        5,
    ),
)

# A finding without a problem type ("") is a clean inspection; it earns points (domain facts §2.3).
MARKET_FINDINGS = (
    Finding(
        "2106", "食品抽检", "食品安全监督抽检", "食品抽检不合格", "经抽样检验, 菌落总数项目不符合食品安全国家标准", 14
    ),
    Finding("2108", "特种设备检查", "特种设备安全监督检查", "特种设备超期未检", "在用特种设备超过检验有效期", 8),
    Finding(
        "2104", "双随机抽查", "企业公示信息抽查", "公示信息隐瞒真实情况", "年度报告所填从业人数、资产状况与实际不符", 4
    ),
    Finding(None, "双随机抽查", "登记事项检查", "登记事项不规范", "营业执照未悬挂于住所醒目位置", 8),
    Finding(None, "食品抽检", "食品安全监督抽检", "", "", 22),
    Finding(None, "特种设备检查", "特种设备安全监督检查", "", "", 16),
    Finding(None, "双随机抽查", "登记事项检查", "", "", 28),
)
ECOLOGY_FINDINGS = (
    Finding(
        "1207",
        "自行监测检查",
        "自行监测及信息公开",
        "自行监测或信息公开未落实",
        "未按排污许可证要求的频次开展自行监测",
        12,
    ),
    Finding(
        "1208", "在线监测传输", "污染源自动监控数据传输", "传输有效率低于90%", "本季度自动监控数据传输有效率低于90%", 16
    ),
    Finding(None, "双随机抽查", "污染防治设施运行", "台账记录不规范", "危险废物管理台账记录不完整", 10),
    Finding(None, "在线监测传输", "污染源自动监控数据传输", "", "", 20),
    Finding(None, "双随机抽查", "污染防治设施运行", "", "", 42),
)
EMERGENCY_FINDINGS = (
    Finding(
        "2010", "双重预防检查", "双重预防数字化系统运行", "双重预防系统停用", "当月双重预防数字化系统停用超过15日", 18
    ),
    Finding(None, "专项检查", "粉尘涉爆专项检查", "一般隐患", "除尘系统未按规定清扫", 14),
    Finding(None, "双随机抽查", "安全生产综合检查", "一般隐患", "灭火器压力不足", 12),
    Finding(None, "双重预防检查", "双重预防数字化系统运行", "", "", 16),
    Finding(None, "双随机抽查", "安全生产综合检查", "", "", 40),
)

ABNORMAL_CAUSES = (
    ("2102", "通过登记的住所或者经营场所无法联系", 55),
    ("2102", "未依照规定的期限公示年度报告", 35),
    ("2102", "未在责令的期限内公示有关企业信息", 5),
    ("2104", "公示企业信息隐瞒真实情况、弄虚作假", 8),
)
SERIOUS_CAUSES = (
    ("2101", "被列入经营异常名录届满3年仍未履行相关义务", 6),
    ("2101", "提交虚假材料取得公司登记, 被撤销登记", 1),
    ("2101", "生产销售不符合安全标准的食品, 情节严重", 2),
)
