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
            if kind == "transformers":
                _as_transformers(network, tagger.labels).save_pretrained(partial)
        tagger.tokenizer.save_pretrained(partial)
        if extra := _extra(network, kind):
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
    with torch.device("meta"):  # its own parameters are replaced, so they need no memory
        whole = transformers.AutoModelForTokenClassification.from_config(encoder.config)
    setattr(whole, whole.base_model_prefix, encoder)
    whole.classifier = network.classifier
    return whole


def _extra(network: Network, kind: str) -> dict[str, torch.Tensor]:
    elsewhere = () if kind == "characters" else ("encoder.",)
    if kind == "transformers" and network.rnn is None:
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
    if kind == "characters":
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoder = Characters(len(tokenizer), about.pop("vectors"), tokenizer.pad_token_id)
        network = Network(encoder, labels, scheme, **about)
        extra = load_file(folder / EXTRA)
    else:
        network, tokenizer = _from_transformers(folder, labels, scheme, about)
        extra = load_file(folder / EXTRA) if (folder / EXTRA).is_file() else {}
    network.load_state_dict(network.state_dict() | {n: t.float() for n, t in extra.items()})
    return network, tokenizer, labels, scheme


def _from_transformers(where, labels, scheme, about) -> tuple[Network, PreTrainedTokenizerBase]:
    linear = about.get("task", "linear") == "linear"
    model, tokenizer = checkpoints.load(where, kind="tagger" if linear else "encoder")
    encoder = getattr(model, model.base_model_prefix) if linear else model
    network = Network(prepared(encoder), labels, scheme, **about)
    if linear:
        network.classifier = model.classifier
    return network, tokenizer


def _foreign(name: str | Path) -> tuple[Network, PreTrainedTokenizerBase, list[str], str]:
    """A token classification model that transformers has saved, with a softmax head."""
    if str(name) == "albert-ner-zh":
        raise CourseError("the tagger albert-ner-zh does not come with this version of the "
                          "course: train one (chapter ALBERT NER) and give its folder")
    if not str(name):
        raise CourseError("the tagger's name is empty: give albert-ner-zh, a folder or a hub id")
    if str(name) in checkpoints.COURSE:
        raise CourseError(f"{name} is no tagger: use albert-ner-zh, or train one (chapter ALBERT "
                          "NER) and give its folder")
    model, tokenizer = checkpoints.load(name, kind="tagger")
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    places = {label.partition("-")[0] for label in labels if label != "O"}
    scheme = "IO" if places == {"I"} else "BIO" if places <= {"B", "I"} else "BIOES"
    if not places <= set("BIES") or "O" not in labels:
        raise CourseError(f"{name} has the labels {', '.join(labels[:4])} ...: use a model whose "
                          "labels are O and B-TYPE, I-TYPE (or BIOES)")
    network = Network(prepared(getattr(model, model.base_model_prefix)), labels, scheme)
    network.classifier = model.classifier
    return network, tokenizer, labels, scheme
