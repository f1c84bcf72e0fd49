"""Learns a small WordPiece vocabulary: characters first, then the most frequent neighbours joined, as BPE does it."""
import collections
import re
import string

SPECIAL = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]  # KLUE-RoBERTa's order
TYPE_WORDS = ["사람", "단체", "장소", "날짜", "수량", "기타"]  # what the typed markers write for KLUE's six types
PUNCTUATION = list(string.punctuation) + list("‘’“”《》〈〉「」『』·…–—∼")
RARE_MEDIALS = {3, 7, 10, 15}  # ㅒ ㅖ ㅙ ㅞ
USUAL_FINALS = {0, 1, 4, 8, 16, 17, 20, 21}  # none, ㄱ ㄴ ㄹ ㅁ ㅂ ㅆ ㅇ


def everyday_syllables():
    """The syllables of the national standard KS X 1001 (two bytes in EUC-KR) without the rarer vowels and endings."""
    found = []
    for index in range(19 * 21 * 28):
        syllable = chr(ord("가") + index)
        if index // 28 % 21 in RARE_MEDIALS or index % 28 not in USUAL_FINALS:
            continue
        if len(syllable.encode("euc_kr")) == 2:
            found.append(syllable)
    return found


def words_of(sentences):
    """Words as BERT's basic tokenizer cuts them: at white space and around punctuation."""
    counts = collections.Counter()
    for sentence in sentences:
        counts.update(re.findall(r"\w+", sentence))
    return counts


def learned_pieces(counts, wanted, least):
    """Joins the most frequent pair of neighbouring pieces again and again; ties by spelling."""
    words = [[[word[0]] + ["##" + c for c in word[1:]], count] for word, count in sorted(counts.items())]
    learned = []
    while len(learned) < wanted:
        pairs = collections.Counter()
        for pieces, count in words:
            for left, right in zip(pieces, pieces[1:]):
                pairs[left, right] += count
        if not pairs:
            break
        (left, right), count = min(pairs.items(), key=lambda item: (-item[1], item[0]))
        if count < least:
            break
        joined = left + right[2:]
        learned.append(joined)
        for entry in words:
            pieces = entry[0]
            i = 0
            while i + 1 < len(pieces):
                if pieces[i] == left and pieces[i + 1] == right:
                    pieces[i:i + 2] = [joined]
                i += 1
    return learned


def vocabulary(sentences, wanted=600, least=6):
    counts = words_of(sentences)
    single = sorted(set("".join(counts)) | set(everyday_syllables()) | set(string.ascii_letters + string.digits))
    pieces = SPECIAL + PUNCTUATION + single + ["##" + c for c in single] + TYPE_WORDS
    pieces += learned_pieces(counts, wanted, least)
    return list(dict.fromkeys(pieces))
