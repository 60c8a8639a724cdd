"""Where the simulated roads run: hand-placed waypoints, roughly along Liaoning's expressways. Decoration, not a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Point = tuple[float, float]
"""(latitude_deg, longitude_deg)"""


@dataclass(frozen=True, slots=True)
class City:
    """A prefecture-level city: where its vehicles are at home."""

    name: str  # Chinese, without 市
    english: str
    letter: str  # second character of its plates: 辽A
    city_id: int  # last four digits of GB/T 2260, as 0x0100 sends it; the province is 21
    centre: Point


CITIES: Final[dict[str, City]] = {
    city.english: city
    for city in (
        City("沈阳", "Shenyang", "A", 100, (41.797, 123.429)),
        City("大连", "Dalian", "B", 200, (38.955, 121.610)),
        City("鞍山", "Anshan", "C", 300, (41.111, 122.996)),
        City("抚顺", "Fushun", "D", 400, (41.876, 123.921)),
        City("本溪", "Benxi", "E", 500, (41.298, 123.771)),
        City("丹东", "Dandong", "F", 600, (40.135, 124.375)),
        City("锦州", "Jinzhou", "G", 700, (41.119, 121.136)),
        City("营口", "Yingkou", "H", 800, (40.667, 122.245)),
        City("阜新", "Fuxin", "J", 900, (42.012, 121.649)),
        City("辽阳", "Liaoyang", "K", 1000, (41.269, 123.182)),
        City("盘锦", "Panjin", "L", 1100, (41.124, 122.070)),
        City("铁岭", "Tieling", "M", 1200, (42.291, 123.844)),
        City("朝阳", "Chaoyang", "N", 1300, (41.577, 120.451)),
        City("葫芦岛", "Huludao", "P", 1400, (40.756, 120.856)),
    )
}

JUNCTIONS: Final[dict[str, Point]] = {
    "wanjia": (40.060, 119.850),  # 万家, towards Qinhuangdao
    "huludao_north": (40.815, 120.835),
    "jinzhou_west": (41.130, 121.035),
    "jinzhou_east": (41.180, 121.250),
    "panjin_north": (41.285, 122.055),
    "liaozhong": (41.530, 122.760),
    "shenyang_west": (41.760, 123.230),
    "shenyang_south": (41.670, 123.380),
    "shenyang_east": (41.800, 123.600),
    "shenyang_north": (41.930, 123.450),
    "liaoyang_west": (41.275, 123.110),
    "anshan_west": (41.110, 122.900),
    "haicheng": (40.860, 122.690),
    "dashiqiao": (40.640, 122.540),
    "gaizhou": (40.400, 122.400),
    "bayuquan": (40.255, 122.205),
    "jinzhou_dalian": (39.110, 121.760),  # 金州
    "tieling_west": (42.270, 123.780),
    "maojiadian": (43.040, 124.270),  # 毛家店, towards Siping
    "fushun_north": (41.915, 123.920),
    "benxi_west": (41.300, 123.690),
    "dandong_north": (40.185, 124.330),
    "xinmin": (41.995, 122.860),
    "zhangwu": (42.380, 122.560),
    "fuxin_south": (41.960, 121.660),
    "chaoyang_east": (41.600, 120.520),
    "lingyuan": (41.250, 119.430),
    "zhuanghe": (39.725, 123.000),
    "huanren": (41.265, 125.330),
    "caoshi": (42.290, 125.240),  # 草市, towards Meihekou
}


@dataclass(frozen=True, slots=True)
class Corridor:
    """A road between two nodes (cities or junctions), driven both ways."""

    ref: str  # the real road it imitates, "" for streets
    name: str
    start: str
    end: str
    limit_kmh: int
    between: tuple[Point, ...] = ()


_STREET: Final = 60
_PROVINCIAL: Final = 80
_EXPRESSWAY: Final = 100

CORRIDORS: Final[tuple[Corridor, ...]] = (
    Corridor("G1", "京哈高速", "wanjia", "huludao_north", _EXPRESSWAY,
             ((40.125, 119.990), (40.235, 120.150), (40.350, 120.310), (40.450, 120.480), (40.630, 120.640))),
    Corridor("G1", "京哈高速", "huludao_north", "jinzhou_west", _EXPRESSWAY, ((40.905, 120.930),)),
    Corridor("G1", "京哈高速", "jinzhou_west", "jinzhou_east", _EXPRESSWAY, ((41.180, 121.110),)),
    Corridor("G1", "京哈高速", "jinzhou_east", "panjin_north", _EXPRESSWAY,
             ((41.220, 121.400), (41.300, 121.640), (41.330, 121.840))),
    Corridor("G1", "京哈高速", "panjin_north", "liaozhong", _EXPRESSWAY, ((41.320, 122.260), (41.410, 122.480))),
    Corridor("G1", "京哈高速", "liaozhong", "shenyang_west", _EXPRESSWAY, ((41.620, 122.920), (41.710, 123.090))),
    Corridor("G1", "京哈高速", "shenyang_north", "tieling_west", _EXPRESSWAY, ((42.050, 123.560), (42.170, 123.690))),
    Corridor("G1", "京哈高速", "tieling_west", "maojiadian", _EXPRESSWAY,
             ((42.390, 123.870), (42.540, 123.990), (42.770, 124.060), (42.900, 124.160))),
    Corridor("G1501", "沈阳绕城高速", "shenyang_west", "shenyang_south", _EXPRESSWAY, ((41.690, 123.280),)),
    Corridor("G1501", "沈阳绕城高速", "shenyang_south", "shenyang_east", _EXPRESSWAY, ((41.700, 123.530),)),
    Corridor("G1501", "沈阳绕城高速", "shenyang_east", "shenyang_north", _EXPRESSWAY, ((41.890, 123.570),)),
    Corridor("G1501", "沈阳绕城高速", "shenyang_north", "shenyang_west", _EXPRESSWAY, ((41.880, 123.280),)),
    Corridor("G15", "沈海高速", "shenyang_south", "liaoyang_west", _EXPRESSWAY, ((41.560, 123.330), (41.420, 123.260))),
    Corridor("G15", "沈海高速", "liaoyang_west", "anshan_west", _EXPRESSWAY, ((41.190, 122.990),)),
    Corridor("G15", "沈海高速", "anshan_west", "haicheng", _EXPRESSWAY, ((40.980, 122.800),)),
    Corridor("G15", "沈海高速", "haicheng", "dashiqiao", _EXPRESSWAY, ((40.750, 122.630),)),
    Corridor("G15", "沈海高速", "dashiqiao", "gaizhou", _EXPRESSWAY, ((40.520, 122.470),)),
    Corridor("G15", "沈海高速", "gaizhou", "bayuquan", _EXPRESSWAY, ((40.330, 122.300),)),
    Corridor("G15", "沈海高速", "bayuquan", "jinzhou_dalian", _EXPRESSWAY,
             ((40.140, 122.170), (39.960, 122.080), (39.790, 122.010), (39.640, 121.960), (39.440, 121.850),
              (39.270, 121.790))),
    Corridor("G16", "丹锡高速", "dandong_north", "haicheng", _EXPRESSWAY,
             ((40.130, 124.050), (40.110, 123.720), (40.250, 123.350), (40.420, 123.160), (40.620, 122.960),
              (40.770, 122.800))),
    Corridor("G16", "丹锡高速", "haicheng", "panjin_north", _EXPRESSWAY,
             ((40.930, 122.540), (41.010, 122.330), (41.090, 122.170), (41.200, 122.110))),
    Corridor("G16", "丹锡高速", "jinzhou_west", "chaoyang_east", _EXPRESSWAY,
             ((41.220, 120.910), (41.380, 120.760), (41.510, 120.640))),
    Corridor("G1605", "盘海营高速", "panjin_north", "dashiqiao", _EXPRESSWAY,
             ((41.120, 122.200), (40.900, 122.330), (40.760, 122.420))),
    Corridor("G25", "长深高速", "zhangwu", "fuxin_south", _EXPRESSWAY, ((42.240, 122.250), (42.080, 121.960))),
    Corridor("G25", "长深高速", "fuxin_south", "chaoyang_east", _EXPRESSWAY,
             ((41.900, 121.350), (41.850, 121.050), (41.760, 120.820))),
    Corridor("G25", "长深高速", "chaoyang_east", "lingyuan", _EXPRESSWAY,
             ((41.520, 120.330), (41.390, 120.050), (41.260, 119.760), (41.220, 119.580))),
    Corridor("G91", "辽中环线高速", "tieling_west", "fushun_north", _EXPRESSWAY,
             ((42.180, 123.920), (42.050, 123.990), (41.960, 123.960))),
    Corridor("G91", "辽中环线高速", "fushun_north", "benxi_west", _EXPRESSWAY,
             ((41.850, 124.020), (41.680, 123.960), (41.500, 123.870), (41.370, 123.800))),
    Corridor("G91", "辽中环线高速", "benxi_west", "liaoyang_west", _EXPRESSWAY, ((41.270, 123.510), (41.310, 123.290))),
    Corridor("G91", "辽中环线高速", "liaoyang_west", "liaozhong", _EXPRESSWAY, ((41.340, 122.990), (41.450, 122.870))),
    Corridor("G91", "辽中环线高速", "liaozhong", "xinmin", _EXPRESSWAY, ((41.700, 122.800), (41.860, 122.830))),
    Corridor("G91", "辽中环线高速", "xinmin", "tieling_west", _EXPRESSWAY,
             ((42.180, 123.030), (42.380, 123.320), (42.400, 123.560))),
    Corridor("G2512", "阜锦高速", "jinzhou_east", "fuxin_south", _EXPRESSWAY,
             ((41.360, 121.280), (41.540, 121.300), (41.760, 121.480))),
    Corridor("G1113", "丹阜高速", "dandong_north", "benxi_west", _EXPRESSWAY,
             ((40.330, 124.170), (40.470, 124.020), (40.640, 123.960), (40.800, 123.910), (40.960, 123.860),
              (41.120, 123.740))),
    Corridor("G1113", "丹阜高速", "benxi_west", "shenyang_south", _EXPRESSWAY,
             ((41.430, 123.640), (41.570, 123.520))),
    Corridor("G1113", "丹阜高速", "shenyang_west", "xinmin", _EXPRESSWAY, ((41.860, 123.090), (41.950, 122.960))),
    Corridor("G1113", "丹阜高速", "xinmin", "fuxin_south", _EXPRESSWAY,
             ((41.970, 122.560), (41.940, 122.240), (41.960, 121.900))),
    Corridor("S2", "沈彰高速", "xinmin", "zhangwu", _EXPRESSWAY, ((42.130, 122.760), (42.270, 122.640))),
    Corridor("G1212", "沈吉高速", "shenyang_east", "fushun_north", _EXPRESSWAY, ((41.880, 123.750),)),
    Corridor("G1212", "沈吉高速", "fushun_north", "caoshi", _EXPRESSWAY,
             ((41.930, 124.150), (41.970, 124.410), (42.060, 124.700), (42.110, 124.950))),
    Corridor("G11", "鹤大高速", "huanren", "dandong_north", _EXPRESSWAY,
             ((41.080, 125.140), (40.870, 124.930), (40.740, 124.760), (40.520, 124.600), (40.330, 124.470))),
    Corridor("G11", "鹤大高速", "dandong_north", "zhuanghe", _EXPRESSWAY,
             ((40.040, 124.170), (39.950, 124.000), (39.900, 123.640), (39.800, 123.310))),
    Corridor("G11", "鹤大高速", "zhuanghe", "jinzhou_dalian", _EXPRESSWAY,
             ((39.590, 122.680), (39.470, 122.400), (39.330, 122.200), (39.210, 121.960))),
    Corridor("S19", "庄盖高速", "gaizhou", "zhuanghe", _EXPRESSWAY,
             ((40.300, 122.570), (40.120, 122.790), (39.920, 122.930))),
    Corridor("G102", "京沈线", "Huludao", "Jinzhou", _PROVINCIAL, ((40.860, 120.960), (40.960, 121.010))),
    Corridor("G305", "庄林线", "Yingkou", "Panjin", _PROVINCIAL,
             ((40.740, 122.190), (40.860, 122.120), (41.000, 122.080))),
    Corridor("G202", "黑大线", "Liaoyang", "Anshan", _PROVINCIAL, ((41.200, 123.090),)),
    Corridor("S106", "沈抚大道", "Shenyang", "Fushun", _PROVINCIAL, ((41.790, 123.580), (41.830, 123.760))),
    # streets between a city's centre and its ways out
    Corridor("", "沈阳市区", "Shenyang", "shenyang_west", _STREET, ((41.790, 123.330),)),
    Corridor("", "沈阳市区", "Shenyang", "shenyang_south", _STREET, ((41.740, 123.410),)),
    Corridor("", "沈阳市区", "Shenyang", "shenyang_east", _STREET, ((41.805, 123.510),)),
    Corridor("", "沈阳市区", "Shenyang", "shenyang_north", _STREET, ((41.860, 123.440),)),
    Corridor("", "大连市区", "Dalian", "jinzhou_dalian", _STREET, ((39.000, 121.640), (39.060, 121.720))),
    Corridor("", "鞍山市区", "Anshan", "anshan_west", _STREET, ((41.120, 122.950),)),
    Corridor("", "抚顺市区", "Fushun", "fushun_north", _STREET, ((41.895, 123.930),)),
    Corridor("", "本溪市区", "Benxi", "benxi_west", _STREET, ((41.305, 123.730),)),
    Corridor("", "丹东市区", "Dandong", "dandong_north", _STREET, ((40.160, 124.350),)),
    Corridor("", "锦州市区", "Jinzhou", "jinzhou_west", _STREET, ((41.120, 121.090),)),
    Corridor("", "锦州市区", "Jinzhou", "jinzhou_east", _STREET, ((41.145, 121.190),)),
    Corridor("", "营口市区", "Yingkou", "dashiqiao", _PROVINCIAL, ((40.670, 122.340), (40.660, 122.440))),
    Corridor("", "阜新市区", "Fuxin", "fuxin_south", _STREET, ((41.985, 121.660),)),
    Corridor("", "辽阳市区", "Liaoyang", "liaoyang_west", _STREET, ((41.270, 123.145),)),
    Corridor("", "盘锦市区", "Panjin", "panjin_north", _STREET, ((41.200, 122.060),)),
    Corridor("", "铁岭市区", "Tieling", "tieling_west", _STREET, ((42.285, 123.815),)),
    Corridor("", "朝阳市区", "Chaoyang", "chaoyang_east", _STREET, ((41.590, 120.485),)),
    Corridor("", "葫芦岛市区", "Huludao", "huludao_north", _STREET, ((40.785, 120.850),)),
)  # fmt: skip
