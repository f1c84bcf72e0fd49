"""A model: encoder, head, tokenizer and labels."""

from __future__ import annotations

import collections.abc
import ctypes
import dataclasses
import threading
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional, Sequence, Tuple, Union

from . import _abi
from ._arrays import block, choice, choice_name, flat, rows_of
from ._handle import Handle
from ._library import assign, c_path, c_string, c_strings, check, initialized, library, sized, utf8
from .context import Context, default_context
from .example import EntityLike, Example, c_examples
from .predictor import Predictor, entity_types
from .tokenizer import Encoding, Tokenizer, encoding

if TYPE_CHECKING:
    from .dataset import Dataset
    from .decoding import Decoding
    from .entity_types import ModelTypes, PairRelation


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Shape and settings of a model; lengths in tokens, special tokens included."""

    family: str  # "bert", "roberta", "xlm_roberta", "electra"
    hidden_size: int
    layer_count: int
    head_count: int
    intermediate_size: int
    max_positions: int
    input_form: str  # "entity_pair", "typed_marker_punct", "template", ...: KLUERE_INPUT_* in kluere.h
    max_tokens: int
    hidden_dropout: float
    attention_dropout: float
    classifier_dropout: float
    layer_norm_epsilon: float
    initializer_range: float
    seed: int
    task: str  # "classification", "masked_lm", "encoder"
    activation: str  # "gelu", "gelu_new", "relu"
    embedding_size: int
    untied_decoder: bool
    input_template: Optional[str]
    particles: str  # "fixed", "agree"
    after_marker: str  # "new_word", "continuation", "klue_repair"
    head: str  # "cls", "entity_start", ...: KLUERE_HEAD_* in kluere.h
    entity_segments: bool
    recipe: Optional[str]  # name of the recipe that the model was made by


@dataclasses.dataclass(frozen=True)
class EntityPlaces:
    """Where an entity is among the tokens: ids[marker_begin:begin] opens it, ids[begin:end] are its pieces, and
    ids[end:marker_end] closes it. Markers beside the text are ids[marker_begin:marker_end]."""

    marker_begin: int
    begin: int
    end: int
    marker_end: int


@dataclasses.dataclass(frozen=True)
class InputPlaces:
    """What Model.input_places gives. cropped: tokens left out because the input was longer than max_tokens; text_count: tokens
    without the markers beside the text, which are behind it."""

    cls: int
    subject: EntityPlaces
    object: EntityPlaces
    cropped: int
    text_count: int


class Tensors(collections.abc.Mapping):
    """Read-only mapping from the names in model.safetensors to float32 copies.

    With NumPy: arrays of the tensor's shape. Without: array.array for rank 1, a list of array.array for rank 2.
    """

    def __init__(self, layout: dict, read: Callable, owner: Handle) -> None:
        self._layout = layout  # name: (number, shape, newly initialized)
        self._read = read
        self._owner = owner

    @property
    def newly_initialized(self) -> List[str]:
        """Names of tensors that the opened folder did not have."""
        return [name for name, (_, _, new) in self._layout.items() if new]

    def shape(self, name: str) -> Tuple[int, ...]:
        return self._layout[name][1]

    def __getitem__(self, name: str):
        number, shape, _ = self._layout[name]
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        container, pointer = block("f", count)
        check(self._read(self._owner._handle, number, pointer, count))
        return rows_of(container, *shape) if len(shape) == 2 else container

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout)

    def __len__(self) -> int:
        return len(self._layout)


class Model(Handle):
    """Tokenizer, labels and weights. Immutable; any number of threads may use one (predict() takes turns).

    Made by Model.open, Model.create or Trainer.export_model.
    """

    _destroy_name = "kluere_model_destroy"

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        super().__init__(pointer)
        self._predictors: dict = {}
        self._predictor_lock = threading.Lock()

    @classmethod
    def open(
        cls,
        directory,
        *,
        labels: Optional[Sequence[str]] = None,
        input_form: Optional[str] = None,
        input_template: Optional[str] = None,
        particles: Optional[str] = None,
        after_marker: Optional[str] = None,
        head: Optional[str] = None,
        entity_segments: Optional[bool] = None,
        recipe: Optional[str] = None,
        max_tokens: Optional[int] = None,
        read_into_memory: bool = False,
        seed: Optional[int] = None,
        task: str = "classification",
        added_special_tokens: Sequence[str] = (),
        context: Optional[Context] = None,
    ) -> "Model":
        """Opens a folder of kluere, or of transformers' BERT, RoBERTa, XLM-RoBERTa and ELECTRA models.

        task              "classification", "masked_lm" or "encoder": what stands on the encoder
        labels            None: kluere.json's, else config.json's id2label, else KLUE's 30
        input_form        None: as kluere.json says, else "typed_marker_punct"; the names are those of KLUERE_INPUT_*
        input_template    a form of your own: see kluere.h and docs/input_forms.md
        particles         "fixed" or "agree" (와/과 by the word before); None: as kluere.json says, else fixed
        after_marker      "new_word", "continuation" or "klue_repair"; None: as kluere.json says, else the form's own
        head              None: as kluere.json says, else "cls"; another than the folder's gets new weights. The names are those
                          of KLUERE_HEAD_*: see docs/heads.md
        entity_segments   token types 1 and 2 for the subject's and the object's pieces; None: as kluere.json says, else False
        recipe            name of a recipe for the model to carry (Recipe.model has it); None: as kluere.json says
        max_tokens        None, 0: as kluere.json says, else min(256, positions)
        read_into_memory  copy the weight file instead of mapping it, if it may be changed meanwhile
        seed              of weights that the folder does not have (a new head): see tensors.newly_initialized
        added_special_tokens  new ones get the next free ids; embeddings and decoder grow as transformers'
                          resize_token_embeddings has it
        """
        options = initialized(_abi.kluere_model_open_options, "kluere_model_open_options_init")
        if labels is not None:
            options.labels, options.label_count = c_strings(labels, "labels")
        if added_special_tokens:
            options.added_special_tokens, options.added_special_token_count = c_strings(
                added_special_tokens, "added_special_tokens"
            )
        assign(
            options,
            input_form=None if input_form is None else choice("input_form", input_form, "KLUERE_INPUT_"),
            input_template=None if input_template is None else c_string(input_template, "input_template"),
            particles=None if particles is None else choice("particles", particles, "KLUERE_PARTICLES_"),
            after_marker=None if after_marker is None else choice("after_marker", after_marker, "KLUERE_AFTER_MARKER_"),
            head=None if head is None else choice("head", head, "KLUERE_HEAD_"),
            entity_segments=None if entity_segments is None else int(entity_segments),
            recipe=None if recipe is None else c_string(recipe, "recipe"),
            max_tokens=max_tokens,
            read_into_memory=int(read_into_memory),
            seed=seed,
            task=choice("task", task, "KLUERE_TASK_"),
        )
        pointer = ctypes.c_void_p()
        handle = (context or default_context())._handle
        check(library().kluere_model_open(handle, c_path(directory), ctypes.byref(options), ctypes.byref(pointer)))
        return cls(pointer)

    @classmethod
    def create(
        cls,
        tokenizer: Tokenizer,
        *,
        labels: Optional[Sequence[str]] = None,
        family: Optional[str] = None,
        hidden_size: Optional[int] = None,
        layer_count: Optional[int] = None,
        head_count: Optional[int] = None,
        intermediate_size: Optional[int] = None,
        max_positions: Optional[int] = None,
        input_form: Optional[str] = None,
        input_template: Optional[str] = None,
        particles: Optional[str] = None,
        after_marker: Optional[str] = None,
        head: Optional[str] = None,
        entity_segments: Optional[bool] = None,
        recipe: Optional[str] = None,
        max_tokens: Optional[int] = None,
        hidden_dropout: Optional[float] = None,
        attention_dropout: Optional[float] = None,
        classifier_dropout: Optional[float] = None,
        layer_norm_epsilon: Optional[float] = None,
        initializer_range: Optional[float] = None,
        seed: Optional[int] = None,
        task: Optional[str] = None,
        activation: Optional[str] = None,
        embedding_size: Optional[int] = None,
        untied_decoder: Optional[bool] = None,
        context: Optional[Context] = None,
    ) -> "Model":
        """A model with random weights. labels None: KLUE's 30. Everything else None: the library's default.

        Two exceptions: input_template makes input_form "template", and when hidden_size is given and intermediate_size is
        not, it is four times hidden_size.
        """
        config = initialized(_abi.kluere_model_config, "kluere_model_config_init")
        if input_template is not None and input_form is None:
            input_form = "template"
        if hidden_size is not None and intermediate_size is None:
            intermediate_size = 4 * hidden_size
        assign(
            config,
            family=None if family is None else choice("family", family, "KLUERE_FAMILY_"),
            hidden_size=hidden_size,
            layer_count=layer_count,
            head_count=head_count,
            intermediate_size=intermediate_size,
            max_positions=max_positions,
            input_form=None if input_form is None else choice("input_form", input_form, "KLUERE_INPUT_"),
            input_template=None if input_template is None else c_string(input_template, "input_template"),
            particles=None if particles is None else choice("particles", particles, "KLUERE_PARTICLES_"),
            after_marker=None if after_marker is None else choice("after_marker", after_marker, "KLUERE_AFTER_MARKER_"),
            head=None if head is None else choice("head", head, "KLUERE_HEAD_"),
            entity_segments=None if entity_segments is None else int(entity_segments),
            recipe=None if recipe is None else c_string(recipe, "recipe"),
            max_tokens=max_tokens,
            hidden_dropout=hidden_dropout,
            attention_dropout=attention_dropout,
            classifier_dropout=classifier_dropout,
            layer_norm_epsilon=layer_norm_epsilon,
            initializer_range=initializer_range,
            seed=seed,
            task=None if task is None else choice("task", task, "KLUERE_TASK_"),
            activation=None if activation is None else choice("activation", activation, "KLUERE_ACTIVATION_"),
            embedding_size=embedding_size,
            untied_decoder=None if untied_decoder is None else int(untied_decoder),
        )
        names, count = (None, 0) if labels is None else c_strings(labels, "labels")
        pointer = ctypes.c_void_p()
        check(
            library().kluere_model_create(
                (context or default_context())._handle,
                tokenizer._handle,
                ctypes.byref(config),
                names,
                count,
                ctypes.byref(pointer),
            )
        )
        return cls(pointer)

    def save(self, directory) -> None:
        """Writes the folder beside its place and swaps it in; an existing folder with files of others is refused."""
        check(library().kluere_model_save(self._handle, c_path(directory)))

    def close(self) -> None:
        for predictor in self._predictors.values():
            predictor.close()
        self._predictors.clear()
        super().close()

    @property
    def config(self) -> ModelConfig:
        config = sized(_abi.kluere_model_config)
        check(library().kluere_model_describe(self._handle, ctypes.byref(config)))
        values = {field.name: getattr(config, field.name) for field in dataclasses.fields(ModelConfig)}
        values["family"] = choice_name(config.family, "KLUERE_FAMILY_")
        values["task"] = choice_name(config.task, "KLUERE_TASK_")
        values["activation"] = choice_name(config.activation, "KLUERE_ACTIVATION_")
        values["untied_decoder"] = bool(config.untied_decoder)
        values["input_form"] = choice_name(config.input_form, "KLUERE_INPUT_")
        values["particles"] = choice_name(config.particles, "KLUERE_PARTICLES_")
        values["after_marker"] = choice_name(config.after_marker, "KLUERE_AFTER_MARKER_")
        values["head"] = choice_name(config.head, "KLUERE_HEAD_")
        values["entity_segments"] = bool(config.entity_segments)
        for name in ("input_template", "recipe"):
            text = getattr(config, name)
            values[name] = None if text is None else text.decode("utf-8")
        return ModelConfig(**values)

    @property
    def tokenizer(self) -> Tokenizer:
        pointer = ctypes.c_void_p()
        check(library().kluere_model_tokenizer(self._handle, ctypes.byref(pointer)))
        return Tokenizer._adopt(pointer)

    @property
    def labels(self) -> List[str]:
        lib, handle = library(), self._handle
        return [lib.kluere_model_label(handle, i).decode("utf-8") for i in range(lib.kluere_model_label_count(handle))]

    @property
    def vocabulary_size(self) -> int:
        """Rows of the table of words, columns of mask_logits: at least as many as the tokenizer has tokens."""
        word = next(name for name in self._tensor_layout() if name.endswith("word_embeddings.weight"))
        return self._tensor_layout()[word][1][0]

    @property
    def parameter_count(self) -> int:
        return library().kluere_model_parameter_count(self._handle)

    @property
    def unused_tensors(self) -> List[str]:
        """Names of tensors in the opened folder that this model has no use for."""
        lib, handle = library(), self._handle
        count = lib.kluere_model_unused_tensor_count(handle)
        return [lib.kluere_model_unused_tensor(handle, i).decode("utf-8") for i in range(count)]

    @property
    def tensors(self) -> Tensors:
        """The weights by name."""
        return Tensors(self._tensor_layout(), library().kluere_model_tensor_read, self)

    def _tensor_layout(self) -> dict:
        lib, handle = library(), self._handle
        layout = {}
        for number in range(lib.kluere_model_tensor_count(handle)):
            info = sized(_abi.kluere_tensor_info)
            check(lib.kluere_model_tensor_describe(handle, number, ctypes.byref(info)))
            new = bool(info.flags & _abi.KLUERE_TENSOR_NEWLY_INITIALIZED)
            layout[info.name.decode("utf-8")] = (number, tuple(info.shape[: info.rank]), new)
        return layout

    def label_indices(self, dataset: Dataset):
        """The dataset's labels as indices into this model's, -1 where hidden. int32."""
        container, pointer = block("i", len(dataset))
        check(library().kluere_model_label_indices(self._handle, dataset._handle, pointer, len(pointer)))
        return container

    def encode(self, example: Example) -> Encoding:
        """The exact tokens the model sees. Offsets are code points of example.text; sequences is 0 for pieces of the
        sentence or of an entity, -1 for everything inserted."""
        rows = c_examples([example])
        count = ctypes.c_size_t()
        capacity = 512
        while True:
            tokens = (_abi.kluere_token * capacity)()
            status = library().kluere_model_encode(
                self._handle,
                rows,
                ctypes.sizeof(_abi.kluere_example),
                _abi.KLUERE_OFFSETS_CODE_POINTS,
                tokens,
                capacity,
                ctypes.byref(count),
            )
            if status != _abi.KLUERE_ERR_BUFFER_TOO_SMALL or count.value <= capacity:
                break
            capacity = count.value
        check(status)
        result = encoding(tokens, count.value)
        place = _code_points(utf8(example.text))
        return dataclasses.replace(result, offsets=[(place[b], place[e]) for b, e in result.offsets])

    def input_places(self, example: Example) -> InputPlaces:
        """Where [CLS] and both entities are among the tokens of encode(example), and how many were cropped."""
        places = sized(_abi.kluere_input_places)
        rows = c_examples([example])
        check(
            library().kluere_model_input_places(
                self._handle,
                rows,
                ctypes.sizeof(_abi.kluere_example),
                _abi.KLUERE_OFFSETS_CODE_POINTS,
                ctypes.byref(places),
            )
        )
        entities = [
            EntityPlaces(*(getattr(entity, field.name) for field in dataclasses.fields(EntityPlaces)))
            for entity in (places.subject, places.object)
        ]
        return InputPlaces(places.cls, *entities, places.cropped, places.text_count)

    def embed(
        self, texts: Sequence[Union[str, Sequence[int]]], *, pooling: str = "mean", normalize: bool = False
    ):
        """A vector for each text: Predictor.embed."""
        with self._predictor_lock:
            return self._predictor("probabilities").embed(texts, pooling=pooling, normalize=normalize)

    def _predictor(
        self, output: str, precision: str = "float32", decoding: str = "auto", type_mask: str = "auto"
    ) -> Predictor:
        key = (output, precision, decoding, type_mask)
        predictor = self._predictors.get(key)
        if predictor is None:
            predictor = Predictor(self, output=output, precision=precision, decoding=decoding, type_mask=type_mask)
            self._predictors[key] = predictor
        return predictor

    @property
    def decoding(self) -> Optional[Decoding]:
        """How logits become probabilities, where that is more than a softmax."""
        from .decoding import Decoding  # which needs the metrics, and these the models

        pointer = ctypes.c_void_p()
        status = library().kluere_model_decoding(self._handle, ctypes.byref(pointer))
        if status == _abi.KLUERE_ERR_STATE:
            return None
        check(status)
        return Decoding(pointer)

    def with_decoding(self, decoding: Optional[Decoding]) -> "Model":
        """The same model, its weights shared, with this decoding (None: without one); save() keeps it."""
        pointer = ctypes.c_void_p()
        given = None if decoding is None else decoding._handle
        check(library().kluere_model_with_decoding(self._handle, given, ctypes.byref(pointer)))
        return Model(pointer)

    # ---- entity types: see docs/types.md

    @property
    def types(self) -> ModelTypes:
        """The type mask and the pair heads."""
        return entity_types().model_types(self)

    def with_type_mask(
        self,
        dataset: Optional[Dataset] = None,
        *,
        smoothing: Optional[float] = None,
        strength: Optional[float] = None,
        hard_count: Optional[int] = None,
        in_training: Optional[bool] = None,
    ) -> "Model":
        """A model that shares the weights and adds strength * log-prior(label | types) to the logits.

        dataset      labelled rows that the prior is learned from; None: the counts that the model has, with the settings
                     given here in place of the stored ones
        smoothing    rows that the labels' overall shares weigh (default: 1)
        strength     default: 1
        hard_count   labels that a pair has fewer times are impossible (default: 0, none)
        in_training  training adds it too (default: False)
        """
        given = {"smoothing": smoothing, "strength": strength, "hard_count": hard_count, "in_training": in_training}
        if dataset is None:
            mask = self.types.type_mask
            if mask is None:
                raise ValueError("the model has no type mask: a dataset is needed to learn one from")
            given = {name: getattr(mask, name) if value is None else value for name, value in given.items()}
        settings = {name: value for name, value in given.items() if value is not None}
        if "in_training" in settings:
            settings["in_training"] = int(settings["in_training"])
        return type(self)(entity_types().with_type_mask(self, dataset, settings))

    def without_type_mask(self) -> "Model":
        return type(self)(entity_types().with_type_mask(self, None, {}))

    def with_pair_heads(
        self,
        dataset: Dataset,
        *,
        hard_count: Optional[int] = None,
        min_rows: Optional[int] = None,
        random_init: bool = False,
        seed: Optional[int] = None,
    ) -> "Model":
        """A model with a classifier of its own for each pair of entity types, over the labels that the pair allows.

        dataset      labelled rows that are counted
        hard_count   a pair's labels are those that it has at least this often, and no_relation (default: 1)
        min_rows     pairs with fewer rows use the general classifier (default: 1)
        random_init  new weights by seed (default 42) rather than copies of the present last layer's
        """
        settings = {"hard_count": hard_count, "min_rows": min_rows, "random_init": int(random_init), "seed": seed}
        return type(self)(entity_types().with_pair_heads(self, dataset, settings))

    def without_pair_heads(self) -> "Model":
        return type(self)(entity_types().with_pair_heads(self, None, {}))

    def type_prior(self, subject_type: str, object_type: str):
        """The log-prior of each label given the types, float64; zeros for a pair that was never counted."""
        return entity_types().type_prior(self, subject_type, object_type)

    def predict_pairs(
        self,
        text: str,
        entities: Sequence[EntityLike],
        *,
        only_relations: bool = True,
        threshold: float = 0.0,
        prune: str = "none",
        precision: str = "float32",
    ) -> List[PairRelation]:
        """The relations between all ordered pairs of a sentence's entities: Predictor.predict_pairs."""
        with self._predictor_lock:
            return self._predictor("probabilities", precision).predict_pairs(
                text, entities, only_relations=only_relations, threshold=threshold, prune=prune
            )

    def predict(
        self,
        examples: Union[Example, Sequence[Example], Dataset],
        *,
        output: str = "probabilities",
        precision: str = "float32",
        decoding: str = "auto",
        type_mask: str = "auto",
        progress: Optional[Callable[[int, int], None]] = None,
    ):
        """Probabilities (or output="logits") of every label: a table of rows x labels, float32.

        For one Example the row alone. Labels in the examples are ignored. precision, decoding, type_mask: as Predictor's.
        progress(done, total) is called now and then.
        """
        if isinstance(examples, Example):
            return self.predict(
                [examples], output=output, precision=precision, decoding=decoding, type_mask=type_mask
            )[0]
        with self._predictor_lock:
            return self._predictor(output, precision, decoding, type_mask).predict(examples, progress=progress)

    def best(
        self, example: Example, top: int = 1, *, precision: str = "float32", type_mask: str = "auto"
    ) -> List[Tuple[str, float]]:
        """The most probable labels of one example with their probabilities, the best first."""
        with self._predictor_lock:
            probabilities = self._predictor("probabilities", precision, "auto", type_mask)._predict_row(example)
        labels = self.labels
        order = sorted(range(len(labels)), key=lambda i: -probabilities[i])
        return [(labels[i], float(probabilities[i])) for i in order[:top]]

    def write_submission(self, path, dataset: Dataset, probabilities) -> None:
        """Writes the competition's CSV (id,pred_label,probs), labels re-ordered to the competition's 30.

        probabilities: what predict(dataset) returned.
        """
        container, pointer, _ = flat(probabilities, "f")
        check(
            library().kluere_submission_write(self._handle, dataset._handle, pointer, len(pointer), c_path(path))
        )

    def __repr__(self) -> str:
        if self.closed:
            return "<kluere.Model closed>"
        c = self.config
        return (
            f"<kluere.Model {c.family}, {c.layer_count} layers of {c.hidden_size}, "
            f"{self.parameter_count:,} parameters, {len(self.labels)} labels>"
        )


def _code_points(raw: bytes) -> Sequence[int]:
    """For every byte offset of UTF-8 text, the code points before it."""
    if raw.isascii():
        return range(len(raw) + 1)
    places = [0]
    for byte in raw:
        places.append(places[-1] + (byte & 0xC0 != 0x80))  # the bytes after a character's first are 10xxxxxx
    return places
