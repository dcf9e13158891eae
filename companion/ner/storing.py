"""Taggers as folders that transformers can read."""

import copy
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from companion import checkpoints, storage
from companion.errors import CourseError
from companion.ner import schemes
from companion.ner.bilstm import Characters
from companion.ner.network import Network, prepared
from companion.pretraining.build import quiet

ABOUT, EXTRA = "tagger.json", "tagger.safetensors"
CURE = "save the tagger again, or fetch the folder again"


def write(tagger, folder: str | Path, half: bool) -> None:
    """See `AlbertTagger.save`."""
    network = copy.deepcopy(tagger.network).cpu()
    network = network.half() if half else network
    kind = "characters" if isinstance(network.encoder, Characters) else "transformers"
    about = {"encoder": kind, "labels": tagger.labels, "scheme": tagger.scheme,
             **network.settings}
    if kind == "characters":
        about["vectors"] = network.encoder.config.hidden_size

    def fill(partial: Path) -> None:
        with quiet():
            shared = _as_transformers(network, tagger.labels) if kind == "transformers" else None
            if shared is not None:
                shared.save_pretrained(partial)
        tagger.tokenizer.save_pretrained(partial)
        if extra := _extra(network, shared):
            save_file(extra, partial / EXTRA)
        (partial / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf8")

    storage.write_folder(folder, fill)


def _as_transformers(network: Network, labels: list[str]) -> torch.nn.Module:
    """The part of the network that has a class in transformers, with names for the labels."""
    encoder = network.encoder
    if network.rnn is not None:
        return encoder
    encoder.config.id2label = dict(enumerate(labels))
    encoder.config.label2id = {label: i for i, label in enumerate(labels)}
    try:
        with torch.device("meta"):  # its own parameters are replaced, so they need no memory
            whole = transformers.AutoModelForTokenClassification.from_config(encoder.config)
    except ValueError:  # there is no such class for this kind of encoder
        return encoder
    if not _is_plain(whole):
        return encoder
    setattr(whole, whole.base_model_prefix, encoder)
    whole.classifier = network.classifier
    return whole


def _is_plain(model: torch.nn.Module) -> bool:
    """Whether a token classification model has one layer on its encoder (ModernBERT's has more)."""
    own = {name for name, _ in model.named_parameters()
           if not name.startswith(model.base_model_prefix + ".")}
    return own == {"classifier.weight", "classifier.bias"}


def _extra(network: Network, shared: torch.nn.Module | None) -> dict[str, torch.Tensor]:
    """The parameters that the model ``shared`` with transformers does not hold."""
    elsewhere = () if shared is None else ("encoder.",)
    if shared is not None and shared is not network.encoder:
        elsewhere += ("classifier.",)
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()
            if not name.startswith(elsewhere)}


def read(name: str | Path) -> tuple[Network, PreTrainedTokenizerBase, list[str], str]:
    """Network, tokenizer, labels and scheme of a folder, course checkpoint or hub id."""
    folder = checkpoints.folder(str(name)) if str(name) in checkpoints.COURSE else Path(name)
    if not (folder / ABOUT).is_file():
        return _foreign(name)
    storage.verify(folder, CURE)
    about = json.loads((folder / ABOUT).read_text(encoding="utf8"))
    labels, scheme, kind = about.pop("labels"), about.pop("scheme"), about.pop("encoder")
    extra = load_file(folder / EXTRA) if (folder / EXTRA).is_file() else {}
    if kind == "characters":
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoder = Characters(len(tokenizer), about.pop("vectors"), tokenizer.pad_token_id)
        network = Network(encoder, labels, scheme, **about)
    else:
        whole = "classifier.weight" not in extra
        network, tokenizer = _from_transformers(folder, labels, scheme, about, whole)
    network.load_state_dict(network.state_dict() | {n: t.float() for n, t in extra.items()})
    return network, tokenizer, labels, scheme


def _from_transformers(where, labels, scheme, about,
                       whole) -> tuple[Network, PreTrainedTokenizerBase]:
    model, tokenizer = checkpoints.load(where, kind="tagger" if whole else "encoder")
    encoder = getattr(model, model.base_model_prefix) if whole else model
    network = Network(prepared(encoder), labels, scheme, **about)
    if whole:
        network.classifier = model.classifier
    return network, tokenizer


def _foreign(name: str | Path) -> tuple[Network, PreTrainedTokenizerBase, list[str], str]:
    """A token classification model that transformers has saved, with a softmax head."""
    if str(name) == "albert-ner-zh":
        raise CourseError("the tagger albert-ner-zh does not come with this version of the "
                          "course: train one (chapter ALBERT NER) and give its folder")
    if not str(name):
        raise CourseError("the tagger's name is empty: give albert-ner-zh, a folder or a hub id")
    try:
        model, tokenizer = checkpoints.load(name, kind="tagger")
    except checkpoints.OtherKindError:
        raise CourseError(f"{name} is no tagger: use albert-ner-zh, or train one (chapter ALBERT "
                          "NER) and give its folder") from None
    if not _is_plain(model):
        raise CourseError(f"{name} is a {type(model).__name__}, which has more than one layer on "
                          "its encoder: train a tagger on the encoder (AlbertTagger.new)")
    names = [str(model.config.id2label.get(i, "")) for i in range(model.config.num_labels)]
    try:
        labels, scheme = schemes.standard(names)
    except CourseError:
        raise CourseError(f"{name} has the labels {', '.join(names[:4])} ...: use a model whose "
                          "labels are O and B-TYPE, I-TYPE (or BIOES, BMES, BILOU)") from None
    network = Network(prepared(getattr(model, model.base_model_prefix)), labels, scheme)
    network.classifier = model.classifier
    return network, tokenizer, labels, scheme
