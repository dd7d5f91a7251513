"""The trained files of one task: dense world model, narrow and pruned predictors, sigma-delta artifact, LIF network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spikeplan.core.counts.operations import VALUE_PREFIX
from spikeplan.core.errors import UserError
from spikeplan.core.files import file_digest
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.network_files import LIF, POLICY_LIF, TO_GO_LIF, header, load_lif, load_narrow
from spikeplan.snn.lif import LIFNetwork
from spikeplan.snn.lif_policy import LIFPolicy
from spikeplan.worldmodel.checkpoint import WorldModel, load_model, shipped
from spikeplan.worldmodel.policies.base import GoalPolicy
from spikeplan.worldmodel.policies.policy_file import FILE as POLICY_FILE
from spikeplan.worldmodel.policies.policy_file import load_cost_to_go, load_policy
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.tasks import make_world, task_of

TO_GO, POLICY = "cost-to-go", "policy"
BESIDE = "predictor_sha256"  # of the artifact that a policy or cost-to-go was fine-tuned together with
DENSE = "dense_sha256"  # of the dense network that it is the spiking form of


def derived(checkpoint: Path, name: str) -> Path:
    """The file of a network that was derived from a world model: beside it, and where it was made for planning another task in a
    folder of that task's name.

    >>> derived(Path("runs/two-room.safetensors"), "keep-out/policy")
    PosixPath('runs/keep-out/two-room.policy.safetensors')
    """
    folder, _, kind = name.rpartition("/")
    return checkpoint.parent / folder / f"{checkpoint.stem}.{kind}.safetensors"


@dataclass(frozen=True)
class Bundle:
    """Files are read when first used."""

    task: str
    model_path: Path
    artifact_path: Path

    @cached_property
    def model(self) -> WorldModel:
        found = load_model(self.model_path)
        if found.task not in (self.task, task_of(self.task).trained_on):
            raise UserError(
                f"{self.model_path}: trained on task {found.task}, not {self.task}; use --task {found.task}"
            )
        return found

    @cached_property
    def artifact(self) -> Artifact:
        return self._fitting(self.artifact_path)

    @cached_property
    def guided_artifact(self) -> Artifact:
        """The sigma-delta network that was fine-tuned for planning with the policy."""
        return self._fitting(self.guided_path)

    @property
    def guided_path(self) -> Path:
        """Its file, for a task that is planned with another's world model; the plain network's where there is none, or where the
        user named a network."""
        own = self._own("delta")
        return own if self.artifact_path == self.beside("delta") else self.artifact_path

    def _fitting(self, path: Path) -> Artifact:
        """A sigma-delta network. Raises UserError for one of another task or of other widths than the world model."""
        found = artifact_file.load(path)
        task = found.provenance.get("task", self.task)
        if task not in (self.task, task_of(self.task).trained_on):
            raise UserError(f"{path}: converted for task {task}, not {self.task}; use --task {task}")
        model = self.model.predictor
        if found.layers[-1].n_out != model.latent_dim or found.layers[0].n_in != model.latent_dim + model.action_dim:
            raise UserError(
                f"{path}: made for {found.layers[0].n_in} inputs and {found.layers[-1].n_out} outputs, "
                f"{self.model_path.name} has {model.latent_dim + model.action_dim} and {model.latent_dim}; convert it again"
            )
        return found

    def beside(self, name: str) -> Path:
        """The file of a derived network, as `derived` says."""
        return derived(self.model_path, name)

    def narrow_artifact(self, width: int) -> Artifact:
        """The sigma-delta form of the narrow network of this width."""
        return artifact_file.load(self.beside(f"delta-{width}"))

    def guided_narrow_path(self, width: int) -> Path:
        """The narrow network for planning with the policy: the task's own file where there is one, else the world model's."""
        return self._own(f"narrow-{width}")

    def guided_delta_path(self, width: int) -> Path:
        """The same of that network's sigma-delta form."""
        return self._own(f"delta-{width}")

    def guided_narrow_artifact(self, width: int) -> Artifact:
        return self._fitting(self.guided_delta_path(width))

    def acting_path(self, kind: str, width: int | None) -> Path | None:
        """The sigma-delta form of the policy (kind POLICY) or cost-to-go (TO_GO) that was fine-tuned together with the task's own
        predictor of this width (None: the whole one); None where there is none, or where another predictor is used."""
        size = "" if width is None else f"-{width}"
        path = self.beside(f"{self.task}/{kind}-delta{size}")
        return path if path.is_file() and self.acting_in(width) == self.beside(f"{self.task}/delta{size}") else None

    def acting_in(self, width: int | None) -> Path:
        """The file of the sigma-delta predictor that a policy acts in."""
        return self.guided_path if width is None else self.guided_delta_path(width)

    def acting_files(self, width: int | None) -> list[Path]:
        """Both, where there are any."""
        found = (self.acting_path(kind, width) for kind in (POLICY, TO_GO))
        return [path for path in found if path is not None]

    def acting(self, kind: str, width: int | None) -> Artifact | None:
        """What `acting_path` names. Raises UserError for one that was made together with another predictor, from another dense
        network or for another purpose, and where it is missing beside a predictor that was fine-tuned together with it."""
        predictor, path = self.acting_in(width), self.acting_path(kind, width)
        if path is None:
            own = predictor.parent.name == self.task and predictor.is_file()
            if own and f"{artifact_file.load(predictor).provenance.get('training')}".startswith("ActingTraining"):
                missing = predictor.with_name(predictor.name.replace(".delta", f".{kind}-delta"))
                raise UserError(
                    f"{missing}: no such file; {predictor.name} was fine-tuned together with it, train both again"
                )
            return None
        found = artifact_file.load(path)
        dense = self.policy_path if kind == POLICY else self.to_go_path
        for key, wanted, what in (
            ("kind", kind, f"as a {found.provenance.get('kind')}, not a {kind}"),
            (BESIDE, file_digest(predictor), f"together with another network than {predictor.name}"),
            (DENSE, file_digest(dense), f"from another network than {dense.name}"),
        ):
            if found.provenance.get(key) != wanted:
                raise UserError(f"{path}: made {what}; train both again")
        return found

    def _own(self, name: str) -> Path:
        """The task's own file where its world model is another task's and there is one; else the world model's."""
        path = self.beside(f"{self.task}/{name}")
        return path if task_of(self.task).trained_on is not None and path.is_file() else self.beside(name)

    def borrowed(self, files: Sequence[Path]) -> list[Path]:
        """Those of them that are the world model's, where the task should have its own: they stand in for a missing one."""
        shared = {self.model_path, *self.to_go_files, *self.lif_to_go_files}
        own = task_of(self.task).teacher is not None
        return [file for file in files if own and file.parent == self.model_path.parent and file not in shared]

    @cached_property
    def lif(self) -> LIFNetwork:
        return load_lif(self.beside("lif"))

    @cached_property
    def guided_lif(self) -> LIFNetwork:
        """The LIF predictor for planning with the policy."""
        return load_lif(self.guided_lif_path)

    @property
    def guided_lif_path(self) -> Path:
        """Its file: the task's own where there is one, else the world model's."""
        return self._own(LIF)

    @cached_property
    def lif_cost_to_go(self) -> LIFPolicy:
        """The cost-to-go in LIF spikes. Raises UserError for one of another cost-to-go than the file beside it."""
        path = self.beside(TO_GO_LIF)
        net = load_lif(path, kind=TO_GO_LIF)
        if header(path).get("source_sha256") != file_digest(self.to_go_path):
            raise UserError(f"{path}: made from another network than {self.to_go_path.name}; train it again")
        found, wanted = (net.w1.in_features, net.w3.out_features), (2 * self.model.predictor.latent_dim, 1)
        if found != wanted:
            raise UserError(f"{path}: {found[0]} inputs and {found[1]} outputs, not {wanted[0]} and 1; train it again")
        return LIFPolicy(net, action_limit=self.cost_to_go().action_limit, prefix=VALUE_PREFIX)

    @cached_property
    def lif_policy(self) -> LIFPolicy:
        """The policy in LIF spikes. Raises UserError, in one line, for a file of another task or of other widths."""
        path, model = self.lif_policy_path, self.model
        net = load_lif(path, kind=POLICY_LIF)
        made, task = header(path), model.task if path == self.beside(POLICY_LIF) else self.task
        if made.get("task") != task:
            raise UserError(f"{path}: a policy for task {made.get('task')}, not {task}; use its own world model")
        found, places = (net.w1.in_features, net.w3.out_features), bool(made.get("places", False))
        wanted = ((2 + places) * model.predictor.latent_dim, model.predictor.action_dim)
        if found != wanted:
            raise UserError(
                f"{path}: {found[0]} inputs and {found[1]} outputs, the world model needs {wanted[0]} and {wanted[1]}; "
                "train it again"
            )
        return LIFPolicy(net, action_limit=make_world(model.task).action_limit, places=places)

    @property
    def lif_policy_path(self) -> Path:
        """Its LIF form's file: the task's own where there is one, else the world model's."""
        return self._own(POLICY_LIF)

    @property
    def policy_path(self) -> Path:
        """The policy's file: the task's own where there is one, else the world model's."""
        return self._own(POLICY)

    def policy(self) -> GoalPolicy:
        """The amortised policy that was made with this world model, for the task where it has one of its own."""
        model, path = self.model.predictor, self.policy_path
        task = self.model.task if path == self.beside(POLICY) else self.task
        if task != self.task and task_of(self.task).teacher is not None:
            raise UserError(
                f"{self.beside(f'{self.task}/{POLICY}')}: no such file; {self.task} is planned with a policy of its own, make it "
                f"with `spikeplan train --task {task}`"
            )
        return load_policy(path, task=task, latent_dim=model.latent_dim, action_dim=model.action_dim)

    @property
    def to_go_files(self) -> list[Path]:
        """The cost-to-go and the policy whose cost it tells, where there is one: a user's own networks may lack it."""
        return [self.to_go_path, self.beside(POLICY)] if self.to_go_path.is_file() else []

    @property
    def lif_to_go_files(self) -> list[Path]:
        """The same of its LIF form."""
        path = self.beside(TO_GO_LIF)
        return [path, self.to_go_path, self.beside(POLICY)] if path.is_file() else []

    @property
    def to_go_path(self) -> Path:
        return self.beside(TO_GO)

    def cost_to_go(self) -> GoalPolicy:
        """The policy's cost-to-go, a network of one output. Raises UserError, in one line, for that of another policy."""
        model, path, policy = self.model, self.to_go_path, self.beside(POLICY)
        found = load_cost_to_go(path, task=model.task, latent_dim=model.predictor.latent_dim)
        if not policy.is_file():
            raise UserError(f"{path}: {policy.name}, whose cost it tells, is missing; make both with `spikeplan train`")
        if POLICY_FILE.header(path).get("source_sha256") != file_digest(policy):
            raise UserError(f"{path}: made with another policy than {policy.name}; train it again")
        return found

    def narrow(self, name: str) -> ResidualPredictor:
        """`name`: narrow-W or pruned-P."""
        return load_narrow(self.beside(name))

    def guided_narrow(self, width: int) -> ResidualPredictor:
        return load_narrow(self.guided_narrow_path(width))

    def digest(self, files: Sequence[Path]) -> str:
        """Of trained files: a cached result is void when one of them changes. UserError where one is missing."""
        sha = hashlib.sha256()
        for path in files:
            if not path.is_file():
                source = task_of(self.task).trained_on or self.task
                raise UserError(f"{path}: no such file; make it with `spikeplan train --task {source}`")
            sha.update(path.read_bytes())
        return sha.hexdigest()


def load_bundle(task: str, *, checkpoint: str | None = None, artifact: str | None = None) -> Bundle:
    model_path = Path(checkpoint) if checkpoint else shipped(task)
    return Bundle(task, model_path, Path(artifact) if artifact else derived(model_path, "delta"))
