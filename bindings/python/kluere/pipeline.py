"""Several models that answer as one: a mean, a cascade, classifiers for pairs of entity types."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Callable, List, Optional, Sequence, Tuple, Union

from . import _abi
from ._arrays import block, choice, choice_name
from ._handle import Handle
from ._library import assign, c_path, c_string, c_strings, check, initialized, library, sized
from .context import Context, default_context
from .dataset import Dataset
from .ensemble import write_submission
from .example import Example
from .model import Model
from .predictor import predict_in_parts, predictor_options

FILE_NAME = "pipeline.json"


@dataclasses.dataclass(frozen=True)
class PipelineMember:
    """A model and what it is for. role: "general", "binary", or "specific" with both types ("": examples without one)."""

    model: Model
    role: str = "general"
    subject_type: Optional[str] = None
    object_type: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class MemberInfo:
    """A member of a pipeline; folder inside the folder that was opened."""

    role: str
    subject_type: Optional[str]
    object_type: Optional[str]
    folder: Optional[str]


@dataclasses.dataclass(frozen=True)
class PipelineInfo:
    """What a pipeline does; None where its kind has no such thing."""

    kind: str  # "mean", "cascade", "pairs"
    rule: Optional[str]  # of a cascade: "threshold", "product"
    vote: Optional[str]  # of a mean: "soft", "hard"
    threshold: Optional[float]


class Pipeline(Handle):
    """Several models that answer as one. One thread at a time. Made by Pipeline.open or Pipeline.create.

    labels, predict, best and write_submission are those of a Model.
    """

    _destroy_name = "kluere_pipeline_destroy"
    _precision = "float32"

    @classmethod
    def create(
        cls,
        members: Sequence[PipelineMember],
        *,
        kind: str = "mean",
        rule: Optional[str] = None,
        vote: Optional[str] = None,
        threshold: Optional[float] = None,
        labels: Optional[Sequence[str]] = None,
        batch_tokens: Optional[int] = None,
        precision: Optional[str] = None,
        decoding: Optional[str] = None,
        threads: Optional[int] = None,
    ) -> "Pipeline":
        """From models in memory.

        kind       "mean": all members see every row and vote ("soft" or "hard"); "cascade": a binary member says whether
                   there is a relation, the others which; "pairs": specific members for some pairs of types
        rule       of a cascade: "threshold" (default): no_relation where the binary member's is above `threshold` (0.765),
                   else the other's probabilities; "product": P(relation) times the other's, given that there is one
        labels     None: the first general member's, after no_relation if a cascade's lacks it
        batch_tokens, precision, decoding, threads   as for a Predictor
        """
        options = initialized(_abi.kluere_pipeline_options, "kluere_pipeline_options_init")
        assign(
            options,
            kind=choice("kind", kind, "KLUERE_PIPELINE_"),
            rule=None if rule is None else choice("rule", rule, "KLUERE_CASCADE_"),
            vote=None if vote is None else choice("vote", vote, "KLUERE_VOTE_"),
            threshold=threshold,
        )
        if labels is not None:
            options.labels, options.label_count = c_strings(labels, "labels")
        array = (_abi.kluere_pipeline_member * max(len(members), 1))()
        for entry, member in zip(array, members):
            entry.model = member.model._handle
            entry.role = choice("role", member.role, "KLUERE_MEMBER_")
            for name in ("subject_type", "object_type"):
                value = getattr(member, name)
                setattr(entry, name, None if value is None else c_string(value, name))
        predictor = predictor_options(
            batch_tokens=batch_tokens, precision=precision, decoding=decoding, threads=threads
        )
        pointer = ctypes.c_void_p()
        check(
            library().kluere_pipeline_create(
                array,
                ctypes.sizeof(_abi.kluere_pipeline_member),
                len(members),
                ctypes.byref(options),
                ctypes.byref(predictor),
                ctypes.byref(pointer),
            )
        )
        return cls._made(pointer, precision)

    @classmethod
    def open(
        cls,
        directory,
        *,
        batch_tokens: Optional[int] = None,
        precision: Optional[str] = None,
        decoding: Optional[str] = None,
        threads: Optional[int] = None,
        context: Optional[Context] = None,
    ) -> "Pipeline":
        """A folder with pipeline.json and the model folders that it names."""
        predictor = predictor_options(
            batch_tokens=batch_tokens, precision=precision, decoding=decoding, threads=threads
        )
        pointer = ctypes.c_void_p()
        handle = (context or default_context())._handle
        check(
            library().kluere_pipeline_open(handle, c_path(directory), ctypes.byref(predictor), ctypes.byref(pointer))
        )
        return cls._made(pointer, precision)

    @classmethod
    def _made(cls, pointer: ctypes.c_void_p, precision: Optional[str]) -> "Pipeline":
        pipeline = cls(pointer)
        pipeline._precision = precision or "float32"
        return pipeline

    def save(self, directory) -> None:
        """Writes pipeline.json and every member beside their place and swaps the folder in."""
        check(library().kluere_pipeline_save(self._handle, c_path(directory)))

    @property
    def info(self) -> PipelineInfo:
        info = self._info()
        return PipelineInfo(
            choice_name(info.kind, "KLUERE_PIPELINE_"),
            None if info.rule < 0 else choice_name(info.rule, "KLUERE_CASCADE_"),
            None if info.vote < 0 else choice_name(info.vote, "KLUERE_VOTE_"),
            None if info.threshold < 0 else info.threshold,
        )

    def _info(self):
        info = sized(_abi.kluere_pipeline_info)
        check(library().kluere_pipeline_describe(self._handle, ctypes.byref(info)))
        return info

    @property
    def members(self) -> List[MemberInfo]:
        found = []
        for number in range(self._info().members):
            info = sized(_abi.kluere_pipeline_member_info)
            check(library().kluere_pipeline_describe_member(self._handle, number, ctypes.byref(info)))
            texts = [getattr(info, name) for name in ("subject_type", "object_type", "folder")]
            found.append(
                MemberInfo(
                    choice_name(info.role, "KLUERE_MEMBER_"), *(None if t is None else t.decode("utf-8") for t in texts)
                )
            )
        return found

    @property
    def labels(self) -> List[str]:
        lib, handle = library(), self._handle
        count = lib.kluere_pipeline_label_count(handle)
        return [lib.kluere_pipeline_label(handle, i).decode("utf-8") for i in range(count)]

    def label_indices(self, dataset: Dataset):
        """The dataset's labels as indices into the pipeline's, -1 where hidden. int32."""
        own, names = self.labels, dataset.labels
        places = {i: own.index(name) for i, name in enumerate(names) if name in own}
        container, _ = block("i", len(dataset))
        for row, label in enumerate(dataset.label_indices):
            if label >= 0 and label not in places:
                raise ValueError(f"row {row}: label {names[label]!r} is none of the pipeline's {len(own)} labels")
            container[row] = places[label] if label >= 0 else -1
        return container

    def predict(
        self,
        examples: Union[Example, Sequence[Example], Dataset],
        *,
        precision: Optional[str] = None,
        progress: Optional[Callable[[int, int], None]] = None,
    ):
        """Probabilities of every label: a table of rows x labels, float32; for one Example the row alone.

        precision   None, or what the pipeline was opened or created with
        """
        if precision not in (None, self._precision):
            raise ValueError(f"precision is {precision!r}, but the pipeline was made with {self._precision!r}")
        if isinstance(examples, Example):
            return self.predict([examples])[0]
        return predict_in_parts(self, "kluere_pipeline", len(self.labels), examples, progress)

    def best(self, example: Example, top: int = 1, *, precision: Optional[str] = None) -> List[Tuple[str, float]]:
        """The most probable labels of one example with their probabilities, the best first."""
        probabilities = self.predict(example, precision=precision)
        labels = self.labels
        order = sorted(range(len(labels)), key=lambda i: -probabilities[i])
        return [(labels[i], float(probabilities[i])) for i in order[:top]]

    def write_submission(self, path, dataset: Dataset, probabilities) -> None:
        """Writes the competition's CSV from what predict(dataset) returned."""
        own, wanted = self.labels, dataset.labels
        if sorted(own) != sorted(wanted):
            raise ValueError("the pipeline's labels are not those of the data")
        columns = [own.index(label) for label in wanted]
        write_submission(path, dataset, [[row[column] for column in columns] for row in probabilities])

    def __repr__(self) -> str:
        if self.closed:
            return "<kluere.Pipeline closed>"
        return f"<kluere.Pipeline {self.info.kind} of {self._info().members} models, {len(self.labels)} labels>"
