"""A dataset on the Hugging Face Hub as a corpus, read through `datasets`, which runs no code from there."""

import errno
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import CRITICAL
from typing import Any

import datasets
import huggingface_hub
import pyarrow as pa
from pyarrow.dataset import ParquetFragmentScanOptions

from normexp.data.columns import Columns, Table
from normexp.data.commits import commit, refusal, unreachable
from normexp.data.corpus import Corpus
from normexp.data.prepare import Preparation, prepare
from normexp.errors import ConfigError, one_sentence

SPLITS = {"train": ("train",), "valid": ("validation", "valid", "val", "dev"), "test": ("test",)}
BATCH = 1000  # rows at a time
# Of a Parquet file, read row group by row group in requests of at most 4 MiB; by default they are of 32 MiB.
SMALL_REQUESTS = ParquetFragmentScanOptions(
    cache_options=pa.CacheOptions(range_size_limit=4 << 20, prefetch_limit=0, lazy=True)
)
NO_FILES = datasets.exceptions.DataFilesNotFoundError, datasets.data_files.EmptyDatasetError


def hub(
    path: str = "",
    config: str = "",
    source: str = "",
    target: str = "",
    text: str = "",
    label: str = "",
    revision: str = "",
    subfolder: str = "",
    splits: Mapping[str, str] | None = None,
    cap: int = 0,
    tokens: str = Preparation.tokens,
    vocabulary: int = Preparation.vocabulary,
    longest: int = Preparation.longest,
    overlong: str = Preparation.overlong,
    held_out: int = Preparation.held_out,
    seed: int = Preparation.seed,
    folder: str = "",
) -> Corpus:
    """A dataset on the Hub: tokenised, cached, with its baselines, like data from files.

    path: owner/name, a set of data files (CSV, JSON lines, Parquet, text); sets that are a loading script are refused.
    config: one of its configurations, if it has several. subfolder: of the repository, if only that is to be read.
    source, target, text, label: the columns, as in `Columns`; the names of the classes are those of the dataset.
    revision: branch, tag or commit; by default the newest commit. Which commit was read is part of the run's identity.
    splits: what train, valid and test are called there, by default as usual; what is not named is cut off from train.
    cap: the most rows of a split. They are streamed, the first ones first, so that no more is downloaded than needed.
    tokens, vocabulary, longest, overlong, held_out, seed: as in `Preparation`. folder: where a relative path of a
        tokenizer.json starts.

    The client's own environment variables count: HF_ENDPOINT, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE, HF_DATASETS_OFFLINE.

    Raises ConfigError for what cannot be found, may not be read or cannot be reached.
    """
    columns = Columns(source, target, text, label)
    how = Preparation(tokens, vocabulary, longest, overlong, held_out, seed)
    if cap < 0:
        raise ConfigError(f"data.cap must be at least 0, which reads everything; got {cap}")
    named = dict(splits) if isinstance(splits, Mapping) else {str(splits): ""} if splits else {}
    if named and ("train" not in named or set(named) - set(SPLITS)):
        raise ConfigError(f"data.splits must name train, and may name valid and test; got {', '.join(named)}")
    wanted = Selection(path, config, commit(path, revision), subfolder, named, cap)
    origin: dict[str, Any] = {"from": "hub", "path": path, "commit": wanted.commit, "config": config}
    origin |= {"subfolder": subfolder, "splits": named, "cap": cap}
    return prepare(wanted.read, columns, how, {key: value for key, value in origin.items() if value}, folder=folder)


@dataclass(frozen=True)
class Selection:
    """What is read of a dataset: a configuration or a folder at a commit, some splits, so many rows of each."""

    path: str
    config: str
    commit: str
    subfolder: str
    splits: Mapping[str, str]
    cap: int

    def read(self) -> dict[str, Table]:
        """The splits by our names, as tables."""
        datasets.utils.logging.set_verbosity(CRITICAL)  # what goes wrong is said by the errors raised here
        huggingface_hub.utils.logging.set_verbosity(CRITICAL)
        if not sys.stderr.isatty():
            datasets.disable_progress_bars()
        datasets.config.STREAMING_READ_MAX_RETRIES = 1  # the client below already tries six times, with pauses
        datasets.config.STREAMING_READ_RETRY_INTERVAL = 0
        # Without a network, `datasets` would try for 20 s before it turns to its cache.
        datasets.config.HF_HUB_OFFLINE = bool(unreachable(self.path, self.commit))
        builder = self._builder()
        with one_sentence(self._sentence):
            if self.cap:
                if hasattr(builder.config, "fragment_scan_options"):
                    builder.config.fragment_scan_options = SMALL_REQUESTS
                there = builder.as_streaming_dataset()
            else:
                # What a dataset card says of its splits is often out of date; the commit says what is read.
                builder.download_and_prepare(verification_mode="no_checks")
                there = builder.as_dataset()
            chosen = {ours: there[theirs] for ours, theirs in self._chosen(list(there)).items()}
            return {ours: self._first(split) if self.cap else split for ours, split in chosen.items()}

    def _builder(self) -> datasets.DatasetBuilder:
        try:
            builder = datasets.load_dataset_builder(
                self.path, self.config or None, revision=self.commit, data_dir=self.subfolder or None
            )
        except RuntimeError as error:
            raise ConfigError(
                f"data.path={self.path} is a loading script, and code from the Hub is never run; if the Hub has "
                "converted it, data.revision=refs/convert/parquet data.subfolder=CONFIG reads that"
            ) from error
        except ValueError as error:
            names = "" if datasets.config.HF_HUB_OFFLINE else ", ".join(self._configs())
            if not names:
                raise ConfigError(self._sentence(error)) from error
            raise ConfigError(
                f"data.config must be one of {names}, the configurations of {self.path}; got {self.config or 'none'}"
            ) from error
        except Exception as error:
            raise ConfigError(self._sentence(error)) from error
        if builder.hash != self.commit:  # `datasets` falls back to whatever it has in its cache
            raise ConfigError(self._sentence(None))
        return builder

    def _configs(self) -> Sequence[str]:
        try:
            return datasets.get_dataset_config_names(self.path, revision=self.commit, data_dir=self.subfolder or None)
        except Exception:
            return ()

    def _chosen(self, there: Sequence[str]) -> dict[str, str]:
        """Our name and theirs of every split that is read."""
        if not self.splits:
            usual = {ours: [name for name in names if name in there] for ours, names in SPLITS.items()}
            found = {ours: names[0] for ours, names in usual.items() if names}
        else:
            found = {ours: theirs for ours, theirs in self.splits.items() if theirs}
        listed = f"the splits of {self.path} are {', '.join(there)}"
        if "train" not in found:
            raise ConfigError(f"data.splits.train must name the split to train on; {listed}")
        for ours, theirs in found.items():
            if theirs not in there:
                raise ConfigError(f"data.splits.{ours} must be one of the splits there are; got {theirs}, but {listed}")
        return found

    def _first(self, split: datasets.IterableDataset) -> datasets.Dataset:
        """The first rows of a streamed split, read now."""
        batches = list(split.with_format("arrow").take(self.cap).iter(batch_size=min(BATCH, self.cap)))
        table = pa.concat_tables(batches, promote_options="permissive") if batches else pa.table({})
        return datasets.Dataset(table, info=datasets.DatasetInfo(features=split.features))

    def _sentence(self, error: BaseException | None) -> str:
        """What went wrong, from an error and its causes, in one sentence."""
        reason, config = "", f"configuration {self.config} of {self.path}" if self.config else self.path
        while error:
            if sentence := refusal(error, self.path, self.commit):
                return sentence
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                return f"no space is left for {self.path} in the cache of the Hub's client; set HF_HOME to another disk"
            if isinstance(error, NO_FILES) and not datasets.config.HF_HUB_OFFLINE:
                where = f"folder {self.subfolder} of {self.path}" if self.subfolder else self.path
                return f"{where} has no data files that can be read (CSV, JSON lines, Parquet, text)"
            reason = f" ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})"
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if datasets.config.HF_HUB_OFFLINE:
            return (
                f"{config} at commit {self.commit[:8]} is not in the cache of this machine, and the Hub cannot be "
                "asked; run it once with a connection"
            )
        return f"{config} could not be read from the Hub{reason}; if the connection was lost, run the command again"
