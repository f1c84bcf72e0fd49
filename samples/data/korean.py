"""Words for the sample corpus: invented names, particles that agree with the sound before them, a stable generator."""
import random
import re

# Second form after a vowel, first after a final consonant; "으로" also takes the second form after ㄹ.
PARTICLES = {
    "은": ("은", "는"), "이": ("이", "가"), "을": ("을", "를"), "과": ("과", "와"), "으로": ("으로", "로"),
    "이라는": ("이라는", "라는"), "이었다": ("이었다", "였다"),
}
RIEUL = 8
# How digits and letters end when read aloud: 0 = vowel, 8 = ㄹ, 1 = another consonant.
SPOKEN_END = {"0": 1, "1": 8, "2": 0, "3": 1, "4": 0, "5": 0, "6": 1, "7": 8, "8": 8, "9": 0}
SPOKEN_END |= {"L": 8, "M": 1, "N": 1, "R": 8}


def final_consonant(text):
    """0 where the last spoken character ends in a vowel, 8 where in ㄹ, another number for another consonant."""
    spoken = re.sub(r"[^0-9A-Za-z가-힣]", "", text)
    last = spoken[-1:].upper()
    if "가" <= last <= "힣":
        return (ord(last) - ord("가")) % 28
    return SPOKEN_END.get(last, 0)


def particle(before, name):
    """The form of a particle after the text before it; a bracket at its end is not read aloud."""
    after_consonant, after_vowel = PARTICLES[name]
    end = final_consonant(re.sub(r"\([^()]*\)$", "", before))
    return after_vowel if end == 0 or (name == "으로" and end == RIEUL) else after_consonant


class Stable:
    """Choices from random.random() alone, whose stream Python promises to keep from version to version."""

    def __init__(self, seed):
        self.source = random.Random(seed)

    def below(self, count):
        return int(self.source.random() * count)

    def chance(self, probability):
        return self.source.random() < probability

    def choice(self, items):
        return items[self.below(len(items))]

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


# No Korean family bears these as surnames, no town these stems: the names belong to nobody.
SURNAMES = "솔 별 늘 온 달 샘 빛 찬 꽃 숲 봄 해 눈 들 쪽 햇 새 큰 참 윗".split()
GIVEN = ("가 겸 나 노 누 다 단 담 도 라 란 람 로 루 린 마 무 미 민 벼 보 빈 산 새 선 설 소 수 슬 아 안 연 영 온 우 원 율 은 음 "
         "이 인 재 정 주 지 차 채 초 태 하 한 현 호 휘 희").split()
PLACE_STEMS = "늘 샘 볕 솔 뜰 별 봄 숲 꽃 달 빛 찬 새 큰 너른 푸른 맑은 높은 긴 붉은 흰 고운 밝은 먼".split()
PLACE_ENDS = "들 골 벌 섬 내 돌 못 재 울 뫼 터 실 마루 나루 바위 여울 머리 언덕".split()
PLACE_KINDS = ["시"] * 4 + ["군"] * 3 + ["읍", "면", "동", "구"]
COMPANY_STEMS = ["노 두 라 모 보 소 오 자 카 타 파 하 베 네 레 루 키 비 리 조".split(),
                 "렌 벨 톤 룬 빈 델 젠 곤 멜 론 칸 텔 폰 란 든 밀 펜 순 솜 림".split(),
                 ["", "", "", "카", "타", "모", "네", "로"]]
COMPANIES = "전자 중공업 소프트 은행 제약 식품 출판사 항공 건설 통신 화학 방송".split()
SCHOOLS = "대학교 대학교 고등학교 초등학교 예술대학".split()
TEAMS = "축구단 밴드 합창단 극단 농구단 교향악단".split()
UNIONS = "연맹 협회 연합회 재단 협의회 그룹".split()
PRODUCT_FIRST = "느린 젖은 마른 낮은 깊은 둥근 하얀 검은 가벼운 조용한 눈먼 늦은 이른 먼지 종이 유리 구름 바람 겨울 여름 새벽 그믐".split()
PRODUCT_SECOND = "계단 바다 창문 우산 편지 기차 정원 골목 시계 나침반 등대 사다리 항아리 호수 그림자 책상 의자 모자 열쇠 주전자".split()
FAITH_STEMS = "온 밝 새 참 큰 한 맑 솔 빛 별 들 늘".split()
LATIN = "Sol Bel Ren Dao Mir Nuri Haen Taru Lumo Kade Yuna Oren Pell Ravi Seon Vana".split()
MODELS = "A1 X3 K7 Z9 M20 R5 T8 N4 Q2 V6".split()
TITLES = ("감독 교수 화가 소설가 기자 변호사 외교관 건축가 지휘자 배우 가수 시인 판사 검사 의사 작곡가 사진작가 조각가 번역가 "
          "성우 무용가 요리사 탐험가 수학자 천문학자 물리학자 경제학자 언론인 역사학자 공무원").split()


class Names:
    """Draws invented names, never twice and never one that `taken` holds."""

    def __init__(self, stable, taken=()):
        self.stable = stable
        self.taken = set(taken)
        self.makers = {
            "PER": self.person, "LOC": self.place, "COMPANY": self.company, "SCHOOL": self.school, "TEAM": self.team,
            "UNION": self.union, "PARTY": self.party, "WORK": self.work, "GOODS": self.goods, "FAITH": self.faith,
            "STAGE": self.stage, "ACRONYM": self.acronym,
        }

    def draw(self, kind):
        maker = self.makers[kind]
        for _ in range(10_000):
            name = maker()
            if name not in self.taken:
                self.taken.add(name)
                return name
        raise RuntimeError(f"the generator has no further names of kind {kind}")

    def person(self):
        pick = self.stable.choice
        return pick(SURNAMES) + pick(GIVEN) + pick(GIVEN)

    def place(self):
        pick = self.stable.choice
        return pick(PLACE_STEMS) + pick(PLACE_ENDS) + pick(PLACE_KINDS)

    def stem(self):
        return "".join(self.stable.choice(part) for part in COMPANY_STEMS)

    def company(self):
        return self.stem() + self.stable.choice(COMPANIES)

    def school(self):
        return self.stem() + self.stable.choice(SCHOOLS)

    def team(self):
        return self.stem() + " " + self.stable.choice(TEAMS)

    def union(self):
        return self.stem() + " " + self.stable.choice(UNIONS)

    def party(self):
        return self.stem() + "당"

    def faith(self):
        return self.stable.choice(FAITH_STEMS) + self.stable.choice(GIVEN) + "교"

    def work(self):
        return self.stable.choice(PRODUCT_FIRST) + " " + self.stable.choice(PRODUCT_SECOND)

    def goods(self):
        return self.stem() + " " + self.stable.choice(MODELS)

    def stage(self):
        pick = self.stable.choice
        return pick(LATIN) if self.stable.chance(0.2) else pick(COMPANY_STEMS[0]) + pick(COMPANY_STEMS[1]) + pick(GIVEN)

    def acronym(self):
        letters = "ABCDEFGHJKLMNPRSTUVW"
        return "".join(self.stable.choice(letters) for _ in range(4 + self.stable.below(2)))

    def date(self):
        year = f"{1900 + self.stable.below(124)}년"
        form = self.stable.below(3)
        if form == 0:
            return year
        month = f"{year} {1 + self.stable.below(12)}월"
        return month if form == 1 else f"{month} {1 + self.stable.below(28)}일"

    def number(self):
        count = 3 + self.stable.below(60) if self.stable.chance(0.4) else 100 + self.stable.below(9900)
        return f"{count:,}명"

    def title(self):
        return self.stable.choice(TITLES)
