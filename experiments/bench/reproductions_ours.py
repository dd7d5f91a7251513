"""One published measurement by our models: what a quantity comes to, at the low, nominal and high counts (reproductions.py)."""

from __future__ import annotations

from collections.abc import Mapping

from spikeplan.core.counts.operations import CountRow
from spikeplan.energy.catalogue import Band, Catalogue, Device
from spikeplan.energy.charge import Setup
from spikeplan.energy.dense import launch_bound
from spikeplan.energy.loihi import seconds as chip_seconds
from spikeplan.energy.loihi import stepping
from spikeplan.energy.models import estimate
from spikeplan.energy.reproductions import Published
from spikeplan.energy.systems import draw_of, load_systems
from spikeplan.energy.systems.states import watts_in
from spikeplan.energy.systems.work import chips_at_rest

ENDS = ("low", "nominal", "high")


def our_band(published: Published, quantity: str, catalogue: Catalogue) -> Band:
    """The bound of the model at the same bound of the counts, for each of the three, in SI units.

    Raises UserError for a machine without a figure that it needs, and for counts that it cannot run.

    >>> our_band(load_published()[0], "static_watts", default()).nominal
    0.232
    """
    bounds = []
    for end in ENDS:
        case = Case(published, end, catalogue)
        bounds.append(float(getattr(getattr(case, quantity)(), end)))
    return Band(*bounds)


class Case:
    """One measurement at one end of its counts."""

    def __init__(self, published: Published, end: str, catalogue: Catalogue) -> None:
        self.published, self.catalogue = published, catalogue
        self.device: Device = catalogue.device(published.device)
        self.counts: Mapping[str, float] = {key: getattr(one.band, end) for key, one in published.counts.items()}
        cores, chips = (self._whole(key) for key in ("cores", "chips"))
        self.setup = Setup(cores=cores, chips=chips, time_s=self._busiest())
        self.rows = [self._row()]

    def _whole(self, key: str) -> int | None:
        return round(self.counts[key]) if key in self.counts else None

    def _busiest(self) -> Band | None:
        """Seconds by the busiest core, where its counts are published."""
        if "busiest_synops" not in self.counts:
            return None
        parts = (
            self.device.figure("t_barrier").band,
            self.device.figure("t_synop").band * self.counts["busiest_synops"],
            self.device.figure("t_update").band * self.counts["busiest_updates"],
        )
        return (
            Band(*(max(part) for part in zip(*(part.bounds() for part in parts), strict=True)))
            * self.counts["chip_steps"]
        )

    def _row(self) -> CountRow:
        spiking = self.device.spiking
        return CountRow(
            method=self.published.name,
            phase="predictor",
            layer="all",
            reference="zero",
            schedule="interleaved" if spiking else "batched",
            precision="int8",
            macs=round(self.counts.get("macs", 0)),
            synops=round(self.counts.get("synops", 0)),
            updates_idle=round(self.counts.get("updates", 0)),
            chip_steps=self._whole("chip_steps"),
            host_words=round(self.counts.get("host_words", 0)),
            weight_bytes=self._whole("weight_bytes"),
        )

    def _estimate(self, scope: str) -> Band:
        found = estimate(
            self.device, self.rows, 1, scope=scope, extent="loop", setup=self.setup, catalogue=self.catalogue
        )
        return Band(found.low, found.nominal, found.high)

    def total(self) -> Band:
        whole, bound = self._estimate("system"), launch_bound(self.device, self.rows, 1)
        if bound is None or bound.idle_j is None:
            return whole
        return Band(whole.low, bound.idle_j.nominal, bound.full_j.high)

    def dynamic(self) -> Band:
        if self.device.spiking:
            steps = stepping(self.device, self.rows, 1, self.setup)
            return self._estimate("chip") + steps.band
        total, rest, time = self.total(), self.static_watts(), self.seconds()
        return Band(
            max(0.0, total.low - rest.high * time.low),
            total.nominal - rest.nominal * time.nominal,
            total.high - rest.low * time.high,
        )

    def seconds(self) -> Band:
        if self.device.spiking:
            return chip_seconds(self.device, self.rows, 1, self.setup)
        if self.device.kind == "npu":
            return self.device.figure("t_mac").band * self.counts["macs"]
        bound = launch_bound(self.device, self.rows, 1)
        assert bound is not None, "a GPU launches kernels"
        least = self._estimate("system").low / self.device.figure("power").band.low
        return Band(least, bound.latency_s.nominal, bound.latency_s.high)

    def static_watts(self) -> Band:
        chips = self.counts.get("chips", 1.0)
        return chips_at_rest(self.device, chips) if self.device.spiking else watts_in(self.device, "idle") * chips

    def watts(self) -> Band:
        time = self.published.measured["seconds"].band.nominal
        if self.published.whole_system is None:
            return self.dynamic() * (1 / time) + self.static_watts()
        system = load_systems()[self.published.whole_system]
        return draw_of(system, self.rows, 1, rate_hz=1 / time, catalogue=self.catalogue, setup=self.setup).watts
